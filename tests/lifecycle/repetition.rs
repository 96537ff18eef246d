//! Many clients one after another: no thread, descriptor, task or memory stays behind.

use mosaicstack_telemetry::{AsyncTelemetryClient, TelemetryClient};
use telemetry_tests::{long_tests, resident, track};
use tokio::{runtime::Runtime, task};

use crate::{
    Case, case,
    support::{Resources, Server, all_delivered, built, current_thread, multi_thread},
};

/// Clients of each case; the long tests run three times as many.
const CLIENTS: u64 = 1_000;

/// Clients before memory is measured: until then the allocator grows its arenas.
const WARM_UP: u64 = 200;

/// Memory that may be gained, in KiB. A leak of one client's state would be there a thousand times.
const SLACK: u64 = 8 * 1024;

type Use = fn(&Server, &Runtime);
type Start = fn() -> Runtime;

pub(crate) fn cases() -> Vec<Case> {
    let uses: [(&str, Start, Use); 4] = [
        ("many_clients_stopped_leave_nothing", current_thread, |server, _| {
            let client = TelemetryClient::start(built(server.config().on_notification(|_| {})));
            track(&client.handle(), 1);
            all_delivered(&client.stop());
        }),
        ("many_clients_dropped_leave_nothing", current_thread, |server, _| {
            drop(server.client(1));
        }),
        ("many_async_clients_stopped_leave_nothing", multi_thread, |server, runtime| {
            runtime.block_on(async {
                let config = built(server.config().on_notification(|_| {}));
                let client = AsyncTelemetryClient::start(config);
                track(&client.handle(), 1);
                all_delivered(&client.stop().await);
            });
        }),
        ("many_async_clients_dropped_leave_nothing", current_thread, |server, runtime| {
            runtime.block_on(async { drop(server.async_client(1)) });
        }),
    ];
    let case = |(name, runtime, use_once): (&str, Start, Use)| {
        case(name, move |server| repeat(&runtime(), |runtime| use_once(server, runtime)))
            .delivers(None)
    };
    uses.map(case).into()
}

fn repeat(runtime: &Runtime, use_once: impl Fn(&Runtime)) {
    let before = Resources::now();
    let run = |count| {
        for _ in 0..count {
            use_once(runtime);
            // The tasks of the client and of its connection end.
            runtime.block_on(async {
                while runtime.metrics().num_alive_tasks() > 0 {
                    task::yield_now().await;
                }
            });
        }
        before.wait_until_restored();
    };
    run(WARM_UP);
    let warm = resident();
    run(if long_tests() { 3 * CLIENTS } else { CLIENTS });
    if let Some((warm, resident)) = warm.zip(resident()) {
        assert!(resident < warm + SLACK, "{resident} KiB, before: {warm} KiB");
    }
}

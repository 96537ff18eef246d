//! Clients that are started and ended in a row.

use mosaicstack_telemetry::{AsyncTelemetryClient, TelemetryClient};
use tokio::{runtime::Runtime, task};

use super::{
    Case, Setting,
    resources::{Resources, resident},
    setting::{all_delivered, built, current_thread, multi_thread},
};
use crate::{evidence::scale, track};

/// How many clients; the cases below say it.
const USUAL: u64 = 1_000;

/// How much memory the process may have gained meanwhile, in KiB. What one client leaves behind
/// would be there a thousand times.
const SLACK: u64 = 8 * 1024;

/// How many clients come before the memory is looked at: until then, the allocator spreads.
const WARM_UP: u64 = 200;

pub(super) const CASES: [Case; 7] = [
    Case::new("1,000 clients are started and stopped", |it| {
        in_a_row(|| {
            let client = it.client();
            track(&client.handle(), 1);
            all_delivered(&client.stop());
        });
    })
    .delivers_any(),
    Case::new("1,000 clients are started and dropped", |it| {
        in_a_row(|| {
            let client = it.client();
            track(&client.handle(), 1);
        });
    })
    .delivers_any(),
    Case::new("1,000 clients on tokio are started and stopped", |it| {
        let runtime = multi_thread();
        in_a_row(|| {
            runtime.block_on(async {
                let client = it.tokio_client();
                track(&client.handle(), 1);
                all_delivered(&client.stop().await);
            });
            no_task_is_left(&runtime);
        });
    })
    .delivers_any(),
    Case::new("1,000 clients on tokio are started and dropped", |it| {
        let runtime = current_thread();
        in_a_row(|| {
            runtime.block_on(async {
                let client = it.tokio_client();
                track(&client.handle(), 1);
            });
            no_task_is_left(&runtime);
        });
    })
    .delivers_any(),
    Case::new("1,000 clients with a hook are started and stopped", |it| {
        in_a_row(|| {
            let config = built(it.config().on_notification(|_| {}));
            let client = TelemetryClient::start(config);
            track(&client.handle(), 1);
            all_delivered(&client.stop());
        });
    })
    .delivers_any(),
    Case::new("1,000 clients on tokio with a hook are started and stopped", |it| {
        let runtime = multi_thread();
        in_a_row(|| {
            runtime.block_on(async {
                let config = built(it.config().on_notification(|_| {}));
                let client = AsyncTelemetryClient::start(config);
                track(&client.handle(), 1);
                all_delivered(&client.stop().await);
            });
            no_task_is_left(&runtime);
        });
    })
    .delivers_any(),
    Case::new("1,000 clients of each kind never send", |it| {
        let runtime = current_thread();
        in_a_row(|| {
            drop(it.client());
            runtime.block_on(async { drop(it.tokio_client()) });
            no_task_is_left(&runtime);
        });
    }),
];

/// Waits until the client's task has ended, and the connection's.
fn no_task_is_left(runtime: &Runtime) {
    runtime.block_on(async {
        while runtime.metrics().num_alive_tasks() > 0 {
            task::yield_now().await;
        }
    });
}

/// Runs many `lives` of a client: no thread, descriptor or memory remains of them.
fn in_a_row(mut life: impl FnMut()) {
    let before = Resources::now();
    let mut lived = 0;
    let mut live = |count| {
        for _ in 0..count {
            life();
            lived += 1;
        }
    };
    live(WARM_UP);
    before.are_back();
    let warm = resident();
    live(scale(USUAL, 3 * USUAL));
    before.are_back();
    let gained = resident().saturating_sub(warm);
    assert!(gained < SLACK, "{gained} KiB more after {lived} clients, from {warm} KiB");
    Setting::report(format_args!("{lived} clients, {gained} KiB"));
}

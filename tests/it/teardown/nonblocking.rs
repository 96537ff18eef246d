//! The same for the client on tokio, but that dropping it does not wait at all.

use std::{future::poll_fn, sync::MutexGuard, task::Poll, time::Duration};

use mosaicstack_telemetry::{AsyncTelemetryClient, TelemetryConfig, TelemetryHandle};
use telemetry_tests::{config, track};
use tokio::{runtime::Builder, task, time};

use super::{
    MACHINE, SERVERS, Start, a_share, all_in_time, events, hooked, now, told, with_and_without_hook,
};
use crate::blocking::AMPLE;

#[derive(Clone, Copy, Debug)]
enum Call {
    Flush,
    Stop,
    Drop,
}

struct Case {
    name: String,
    server: Start,
    call: Call,
    is_under_way: bool,
    has_threads: bool,
    has_stuck_hook: bool,
    deadline: Duration,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for (state, server) in SERVERS {
            for call in [Call::Flush, Call::Stop, Call::Drop] {
                for (is_under_way, has_threads) in [(false, true), (true, false)] {
                    for (deadline, has_stuck_hook) in with_and_without_hook() {
                        let attempt =
                            if is_under_way { " in the middle of an attempt" } else { "" };
                        let hook = told(has_stuck_hook);
                        let name = format!(
                            "{call:?}{attempt} within {deadline:?}, {state}{hook}, on tokio"
                        );
                        cases.push(Self {
                            name,
                            server,
                            call,
                            is_under_way,
                            has_threads,
                            has_stuck_hook,
                            deadline,
                        });
                    }
                }
            }
        }
        a_share(cases)
    }

    /// How late the call may be: dropping never waits.
    fn allowed(&self) -> (&str, Duration) {
        let waits = !matches!(self.call, Call::Drop);
        (&self.name, if waits { self.deadline } else { Duration::ZERO })
    }

    /// Returns how long the call took.
    fn run(&self) -> Duration {
        let machine = MACHINE.lock().expect("nobody panics with it");
        let (url, alive) = (self.server)();
        let mut runtime = match self.has_threads {
            true => Builder::new_multi_thread(),
            false => Builder::new_current_thread(),
        };
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let config = config(&url).early_flush(self.is_under_way).shutdown_timeout(self.deadline);
        let (config, hook) = hooked(config.max_queue_size(events()), self.has_stuck_hook);
        let config = config.build().expect("a configuration");
        let call = async { time::timeout(AMPLE, self.call(config, machine)).await };
        let (took, handle) = runtime.block_on(call).expect("it returns");
        drop((alive, runtime, hook));
        let stats = handle.stats();
        assert_eq!(stats.tracked, events() as u64);
        assert!(stats.is_balanced(), "{}: {stats:?}", self.name);
        took
    }

    async fn call(
        &self,
        config: TelemetryConfig,
        machine: MutexGuard<'_, ()>,
    ) -> (Duration, TelemetryHandle) {
        let client = AsyncTelemetryClient::start(config);
        let handle = client.handle();
        track(&handle, events());
        drop(machine);
        if self.is_under_way {
            // The attempt is on its way when the task has been polled.
            poll_fn(|cx| {
                if handle.stats().requests > 0 {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
        task::yield_now().await;
        let start = now();
        match self.call {
            Call::Flush => drop(client.flush(self.deadline).await),
            Call::Stop => {
                let stats = client.stop().await;
                assert!(stats.is_balanced(), "{}: {stats:?}", self.name);
            }
            Call::Drop => drop(client),
        }
        (start.elapsed(), handle)
    }
}

#[test]
fn every_call_returns_in_time_with_every_server() {
    all_in_time("on tokio", &Case::all(), Case::allowed, Case::run);
}

//! Cost of `track` for its caller.

use std::{cell::RefCell, io, sync::Arc, thread, time::Duration};

use allocation_counter::measure;
use mosaicstack_telemetry::{TaskCompletionEvent, TelemetryConfig, TelemetryHandle};
use telemetry_tests::{Simulation, config, long_tests, status, track};
use tracing::{Level, subscriber::DefaultGuard};

use crate::{
    client::{Client, Kind},
    support::{AMPLE, returned, stuck},
};

const PRODUCERS: usize = 8;

fn event(handle: &TelemetryHandle) -> TaskCompletionEvent {
    handle.event().model("claude-sonnet-4-5-20250929").language("rust").build()
}

fn small_queue() -> Simulation {
    Simulation::new(
        &config("https://example.com").max_queue_size(10).build().expect("a valid configuration"),
    )
}

#[test]
fn track_allocates_once_also_with_a_full_queue() {
    let simulation = small_queue();
    let calls = if long_tests() { 100_000 } else { 30 };
    for _ in 0..calls {
        let event = event(&simulation.handle);
        assert_eq!(measure(|| simulation.handle.track(event)).count_total, 1);
    }
    assert_eq!(simulation.handle.stats().evicted, calls - 10);
}

#[test]
fn evicted_event_is_freed_at_once() {
    let simulation = small_queue();
    track(&simulation.handle, 10);
    let event = event(&simulation.handle);
    let cost = measure(|| simulation.handle.track(event));
    assert!(cost.count_current < 0, "one allocation, and an event with its texts freed");
    track(&simulation.handle, 10);
    let cost = measure(|| drop(track(&simulation.handle, 100_000)));
    assert_eq!(cost.bytes_current, 0, "memory does not grow");
}

#[test]
fn track_of_disabled_telemetry_allocates_nothing() {
    let simulation = Simulation::new(&TelemetryConfig::disabled());
    let event = event(&simulation.handle);
    assert_eq!(measure(|| simulation.handle.track(event)).count_total, 0);
}

/// A log that blocks.
struct Blocking<F>(Arc<F>);

impl<F: Fn()> io::Write for Blocking<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Code that blocks the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Transport,
    LogSubscriber,
    Callback,
}

#[test]
fn track_does_not_wait_for_a_worker_that_is_blocked() {
    const EACH: usize = 2_000;
    thread_local! {
        static LOG: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    }
    let places = [Place::Transport, Place::LogSubscriber, Place::Callback];
    for (kind, place) in Kind::ALL.into_iter().flat_map(|kind| places.map(|place| (kind, place))) {
        let (block, calls, release) = stuck();
        let block = Arc::new(block);
        let mut config = config("https://example.com").shutdown_timeout(Duration::ZERO);
        if place == Place::Callback {
            let block = Arc::clone(&block);
            config = config.on_notification(move |_| block());
        }
        let client = Client::with_transport(kind, config.build().unwrap(), move |_| {
            match place {
                Place::Transport => block(),
                Place::LogSubscriber => {
                    // On the worker's thread, which logs the outcome.
                    let block = Arc::clone(&block);
                    let log = tracing_subscriber::fmt()
                        .with_max_level(Level::TRACE)
                        .with_writer(move || Blocking(Arc::clone(&block)))
                        .finish();
                    LOG.with(|guard| {
                        *guard.borrow_mut() = Some(tracing::subscriber::set_default(log));
                    });
                }
                Place::Callback => {}
            }
            Ok(status(503))
        });
        let handle = client.handle();
        track(&handle, 100);
        calls.recv_timeout(AMPLE).expect("the worker blocks");
        let before = handle.stats().tracked;
        let producer = handle.clone();
        returned(move || {
            thread::scope(|scope| {
                for _ in 0..PRODUCERS {
                    scope.spawn(|| {
                        for _ in 0..EACH {
                            let event = event(&producer);
                            assert_eq!(measure(|| producer.track(event)).count_total, 1);
                        }
                    });
                }
            });
        });
        let stats = handle.stats();
        assert_eq!(stats.tracked, before + (PRODUCERS * EACH) as u64, "{kind:?} {place:?}");
        assert!(stats.is_balanced() && stats.evicted > 0, "{stats:?}");
        drop((release, client));
    }
}

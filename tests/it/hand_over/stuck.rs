//! `track` waits for nobody: not for a transport, a hook or a log subscriber that never returns.

use std::{
    cell::RefCell,
    io,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use allocation_counter::measure;
use mosaicstack_telemetry::{AsyncTelemetryClient, Request, TelemetryClient, TelemetryHandle};
use telemetry_tests::{config, status, track};
use tokio::runtime::{Builder, Runtime};
use tracing::{Level, subscriber::DefaultGuard};

use super::event;
use crate::blocking::{AMPLE, returned};

const PRODUCERS: usize = 8;

const EACH: usize = 2_000;

/// A place where the worker gets stuck until [`Stuck`] is dropped.
#[derive(Clone)]
struct Trap {
    catch: Sender<()>,
    released: Arc<Mutex<Receiver<()>>>,
}

/// Who waits outside.
struct Stuck {
    caught: Receiver<()>,
    _release: Sender<()>,
}

impl Trap {
    fn new() -> (Self, Stuck) {
        let (catch, caught) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let trap = Self { catch, released: Arc::new(Mutex::new(released)) };
        (trap, Stuck { caught, _release: release })
    }

    fn enter(&self) {
        let _ = self.catch.send(());
        // An error when whoever could release it is gone.
        let _ = self.released.lock().map(|released| released.recv());
    }
}

/// Where a log gets stuck.
impl io::Write for Trap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.enter();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has many threads track many events; fails unless all of their calls return.
fn hand_over(handle: &TelemetryHandle, stuck: &Stuck) {
    stuck.caught.recv_timeout(AMPLE).expect("the worker comes by");
    let before = handle.stats().tracked;
    let all = handle.clone();
    returned(move || {
        thread::scope(|scope| {
            for _ in 0..PRODUCERS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let event = event(&all);
                        let cost = measure(|| all.track(event));
                        assert_eq!(cost.count_total, 1, "the event's own place");
                    }
                });
            }
        });
    });
    let stats = handle.stats();
    assert_eq!(stats.tracked, before + (PRODUCERS * EACH) as u64);
    assert!(stats.is_balanced() && stats.evicted > 0, "{stats:?}");
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// Runs the check with a client whose worker gets stuck in what `catches` does in the transport.
fn with_both_clients(catches: impl Fn(&Trap) + Clone + Send + Sync + 'static) {
    let config = config("https://example.com").shutdown_timeout(Duration::ZERO);
    let config = config.build().expect("a configuration");

    let ((trap, stuck), catch) = (Trap::new(), catches.clone());
    let client = TelemetryClient::with_transport(config.clone(), move |_: Request| {
        catch(&trap);
        Ok(status(503))
    });
    track(&client.handle(), 100);
    hand_over(&client.handle(), &stuck);
    drop((stuck, client));

    let (trap, stuck) = Trap::new();
    let runtime = runtime();
    let start = async {
        AsyncTelemetryClient::with_transport(config, move |_: Request| {
            let (trap, catch) = (trap.clone(), catches.clone());
            async move {
                catch(&trap);
                Ok(status(503))
            }
        })
    };
    let client = runtime.block_on(start);
    track(&client.handle(), 100);
    hand_over(&client.handle(), &stuck);
    drop((stuck, client));
}

#[test]
fn track_does_not_wait_for_a_transport_that_never_returns() {
    with_both_clients(Trap::enter);
}

#[test]
fn track_does_not_wait_for_a_log_subscriber_that_never_returns() {
    thread_local! {
        static LOG: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    }
    with_both_clients(|trap| {
        // This is the worker's thread: what it says of the answer goes there.
        let trap = trap.clone();
        let log = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(move || trap.clone())
            .finish();
        LOG.with(|guard| *guard.borrow_mut() = Some(tracing::subscriber::set_default(log)));
    });
}

#[test]
fn track_does_not_wait_for_a_hook_that_never_returns() {
    let (trap, stuck) = Trap::new();
    let config = config("https://example.com").shutdown_timeout(Duration::ZERO);
    let config = config.on_notification(move |_| trap.enter()).build().expect("a configuration");
    let client = TelemetryClient::with_transport(config, |_: Request| Ok(status(503)));
    track(&client.handle(), 100);
    hand_over(&client.handle(), &stuck);
    drop((stuck, client));

    let (trap, stuck) = Trap::new();
    let config =
        telemetry_tests::config("https://example.com").on_notification(move |_| trap.enter());
    let config = config.build().expect("a configuration");
    let runtime = runtime();
    let start = async {
        AsyncTelemetryClient::with_transport(config, |_: Request| async { Ok(status(503)) })
    };
    let client = runtime.block_on(start);
    track(&client.handle(), 100);
    hand_over(&client.handle(), &stuck);
    drop((stuck, client));
}

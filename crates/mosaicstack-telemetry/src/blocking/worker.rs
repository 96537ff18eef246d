//! The thread that runs the submitter.

use std::sync::{Arc, OnceLock};

use telemetry_transport::{Request, Response, Transport, TransportError};
use tracing::warn;

use crate::{
    Action, LOG_TARGET, TelemetryConfig, clock, driver::Driver, lifecycle::Lifecycle,
    outbox::Outbox, panics, sync::thread,
};

/// The caller's end of the thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Worker {
    thread: Arc<OnceLock<thread::Thread>>,
}

/// Starts the thread, unless telemetry is disabled.
pub(super) fn spawn(
    config: &TelemetryConfig,
    transport: &Arc<dyn Transport>,
) -> (Lifecycle, Worker) {
    let worker = Worker::default();
    let wake = {
        let worker = worker.clone();
        move || worker.unpark()
    };
    let (lifecycle, driver) = Lifecycle::new(config, clock::now, wake);
    if let Some(driver) = driver {
        let transport = Arc::clone(transport);
        let named = thread::Builder::new().name("mosaicstack-telemetry".into());
        match named.spawn(move || run(driver, &*transport)) {
            Ok(spawned) => drop(worker.thread.set(spawned.thread().clone())),
            Err(error) => warn!(
                target: LOG_TARGET,
                "there is no thread to submit events with, they only wait in the queue: {error}"
            ),
        }
    }
    (lifecycle, worker)
}

fn run(mut driver: Driver, transport: &dyn Transport) {
    loop {
        match driver.next(clock::now()) {
            Action::Send(request, delivery) => {
                let result = send(transport, request, &driver.outbox);
                driver.complete(clock::now(), delivery, result);
            }
            Action::Wait(until) => {
                if driver.control.may_sleep(until) {
                    // An order that comes in between has left a token, and parking returns at once.
                    thread::park_timeout(until.saturating_duration_since(clock::now()));
                }
            }
            Action::Done => break,
        }
    }
}

impl Worker {
    /// Whether this is the thread itself, which cannot wait for itself.
    pub(super) fn is_current(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == thread::current().id())
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// Sends a request; a panic of the transport is an attempt that failed.
pub(super) fn send(
    transport: &dyn Transport,
    request: Request,
    outbox: &Outbox,
) -> Result<Response, TransportError> {
    panics::catch(|| transport.send(request)).unwrap_or_else(|_| Err(outbox.transport_panicked()))
}

//! The worker thread of the blocking client.

use std::sync::{Arc, OnceLock};

use telemetry_transport::{Request, Response, Transport, TransportError};
use tracing::warn;

use super::{blocking::connect_handle, client_core::ClientCore, driver::Driver};
use crate::{
    LOG_TARGET, clock, config::TelemetryConfig, event_buffer::EventBuffer, panics,
    submitter::Action, sync::thread,
};

/// The thread, if it could be spawned. It is never joined: a transport may hang.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerThread {
    thread: Arc<OnceLock<thread::Thread>>,
}

impl WorkerThread {
    /// Spawns the thread, unless telemetry is disabled.
    pub(crate) fn spawn(config: &TelemetryConfig, transport: &Arc<dyn Transport>) -> ClientCore {
        let worker = Self::default();
        let wake = {
            let worker = worker.clone();
            move || worker.unpark()
        };
        let (mut core, driver) = ClientCore::new(config, clock::now, wake);
        if let Some(driver) = driver {
            let transport = Arc::clone(transport);
            let named = thread::Builder::new().name("mosaicstack-telemetry".into());
            match named.spawn(move || run(driver, &*transport)) {
                Ok(spawned) => drop(worker.thread.set(spawned.thread().clone())),
                Err(error) => warn!(
                    target: LOG_TARGET,
                    "failed to spawn the worker thread; events stay queued: {error}"
                ),
            }
        }
        connect_handle(&mut core, move || worker.is_current());
        core
    }

    /// True if the caller is on this thread, which cannot wait for itself.
    fn is_current(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == thread::current().id())
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

fn run(mut driver: Driver, transport: &dyn Transport) {
    loop {
        match driver.next(clock::now()) {
            Action::Send(request, delivery) => {
                let result = send(transport, request, &driver.buffer);
                driver.complete(clock::now(), delivery, result);
            }
            Action::Wait(until) => {
                if driver.signal.try_sleep(until) {
                    // A request made since then has left a token: parking returns at once.
                    thread::park_timeout(until.saturating_duration_since(clock::now()));
                }
            }
            Action::Done => break,
        }
    }
}

/// Sends a request. A panic of the transport is a failed attempt.
pub(crate) fn send(
    transport: &dyn Transport,
    request: Request,
    buffer: &EventBuffer,
) -> Result<Response, TransportError> {
    panics::catch(|| transport.send(request)).unwrap_or_else(|_| Err(buffer.transport_panicked()))
}

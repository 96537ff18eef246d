//! The worker thread of the blocking client.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use telemetry_transport::{Request, Response, Transport, TransportError};
use tracing::warn;

use super::{
    blocking::{Place, connect_handle},
    client_core::ClientCore,
    driver::Driver,
};
use crate::{
    LOG_TARGET, clock,
    config::TelemetryConfig,
    event_buffer::EventBuffer,
    panics,
    submitter::Action,
    sync::{Mutex, MutexGuard, thread},
};

/// Least time between two attempts of `track` to spawn the thread. Longer than any unit test, which
/// must not depend on its own duration.
const RESPAWN_INTERVAL: Duration = Duration::from_secs(if cfg!(test) { 3600 } else { 1 });

/// The thread. It is never joined: a transport may hang.
///
/// If the system cannot spawn it, the worker waits for a later call of `track` or `flush`.
#[derive(Clone)]
pub(crate) struct WorkerThread(Arc<Shared>);

/// Spawns a thread; a test may refuse.
pub(crate) type Spawn = fn(Box<dyn FnOnce() + Send>) -> io::Result<thread::Thread>;

struct Shared {
    thread: OnceLock<thread::Thread>,
    /// The worker until its thread runs. Locked while the thread is spawned, so that the thread is
    /// known before it runs: a wake-up would be lost otherwise.
    idle: Mutex<Option<Worker>>,
    spawn: Spawn,
}

struct Worker {
    driver: Driver,
    transport: Arc<dyn Transport>,
    /// Time of the next attempt of `track` to spawn the thread.
    respawn_at: Instant,
}

pub(crate) fn spawn(run: Box<dyn FnOnce() + Send>) -> io::Result<thread::Thread> {
    let named = thread::Builder::new().name("mosaicstack-telemetry".into());
    named.spawn(run).map(|spawned| spawned.thread().clone())
}

impl WorkerThread {
    /// Spawns the thread, unless telemetry is disabled.
    pub(crate) fn spawn(
        config: &TelemetryConfig,
        transport: &Arc<dyn Transport>,
        spawn: Spawn,
    ) -> ClientCore {
        let shared = Shared { thread: OnceLock::new(), idle: Mutex::default(), spawn };
        let worker = Self(Arc::new(shared));
        let wake = {
            let worker = worker.clone();
            move || worker.wake()
        };
        let (mut core, driver) = ClientCore::new(config, clock::now, wake);
        if let Some(driver) = driver {
            let respawn_at = clock::now();
            let idle = Worker { driver, transport: Arc::clone(transport), respawn_at };
            *worker.0.idle.lock() = Some(idle);
            if let Err(error) = worker.start() {
                let _ = panics::catch(|| {
                    warn!(
                        target: LOG_TARGET,
                        "failed to spawn the worker thread, events stay queued and it is tried again: \
                         {error}"
                    );
                });
            }
        }
        connect_handle(&mut core, worker);
        core
    }

    /// Spawns the thread if it could not be spawned before.
    fn start(&self) -> io::Result<()> {
        if self.0.thread.get().is_some() { Ok(()) } else { self.start_idle(&self.0.idle.lock()) }
    }

    /// Called from `track`: never blocks, and rarely spawns.
    fn wake(&self) {
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        } else if let Some(mut idle) = self.0.idle.try_lock() {
            let now = clock::now();
            if let Some(worker) = idle.as_mut().filter(|worker| now >= worker.respawn_at) {
                worker.respawn_at = clock::after(now, RESPAWN_INTERVAL);
                // `track` does not log: a subscriber may do I/O.
                let _ = self.start_idle(&idle);
            }
        }
    }

    fn start_idle(&self, idle: &MutexGuard<'_, Option<Worker>>) -> io::Result<()> {
        let Some(Worker { driver, .. }) = &**idle else { return Ok(()) };
        if self.0.thread.get().is_some() {
            return Ok(());
        }
        let worker = self.clone();
        let spawned = (self.0.spawn)(Box::new(move || worker.run()));
        driver.buffer.set_worker(spawned.is_ok());
        let _ = self.0.thread.set(spawned?);
        Ok(())
    }

    fn run(&self) {
        let worker = self.0.idle.lock().take();
        if let Some(Worker { driver, transport, .. }) = worker {
            run(driver, &*transport);
        }
    }
}

impl Place for WorkerThread {
    fn is_current(&self) -> bool {
        self.0.thread.get().is_some_and(|thread| thread.id() == thread::current().id())
    }

    fn ensure_started(&self) -> bool {
        self.start().is_ok()
    }

    fn abandon(&self) {
        let worker = self.0.idle.lock().take();
        drop(worker);
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
                if driver.try_sleep(until) {
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

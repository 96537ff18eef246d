//! The thread that runs the submitter.

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use telemetry_transport::{Request, Response, Transport, TransportError};
use tracing::warn;
use uuid::Uuid;

use crate::{
    Action, LOG_TARGET, Start, Submitter, TelemetryConfig, TelemetryHandle, clock,
    control::{Control, GRACE},
    outbox::Outbox,
    stats::Counters,
};

/// How long the worker pauses after a panic outside the transport, in a log subscriber say: it may
/// happen again.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// The caller's end of the thread.
pub(super) struct Worker {
    control: Arc<Control>,
    thread: Arc<OnceLock<Thread>>,
}

/// Starts the thread, unless telemetry is disabled.
pub(super) fn spawn(
    config: &TelemetryConfig,
    transport: &Arc<dyn Transport>,
) -> (TelemetryHandle, Option<Worker>) {
    let thread = Arc::<OnceLock<Thread>>::default();
    let wake = {
        let thread = Arc::clone(&thread);
        move || unpark(&thread)
    };
    let start = Start { now: clock::now(), wall: clock::wall(), seed: seed() };
    let (handle, submitter) = TelemetryHandle::with_submitter(config, start, wake);
    if !config.is_enabled() {
        return (handle, None);
    }
    let control = Arc::<Control>::default();
    let driver = Driver {
        submitter,
        transport: Arc::clone(transport),
        control: Arc::clone(&control),
        outbox: Arc::clone(&handle.outbox),
    };
    let named = thread::Builder::new().name("mosaicstack-telemetry".into());
    match named.spawn(move || driver.run()) {
        Ok(spawned) => drop(thread.set(spawned.thread().clone())),
        Err(error) => warn!(
            target: LOG_TARGET,
            "there is no thread to submit events with, they only wait in the queue: {error}"
        ),
    }
    (handle, Some(Worker { control, thread }))
}

impl Worker {
    /// Asks for a flush and waits for its end, until `deadline`; false if it is not `settled`.
    pub(super) fn flush(&self, deadline: Instant, settled: impl Fn() -> bool) -> bool {
        let number = self.control.ask_flush();
        unpark(&self.thread);
        if self.is_current() {
            return settled();
        }
        self.control.wait_for_flush(number, deadline, settled)
    }

    /// Asks for the last drain and waits for its end; leaves the thread to itself after
    /// `deadline`.
    pub(super) fn stop(self, deadline: Instant) {
        self.control.ask_close(deadline);
        unpark(&self.thread);
        if !self.is_current() {
            self.control.wait_for_done(clock::after(deadline, GRACE));
        }
    }

    /// Whether this is the thread itself, which cannot wait for itself.
    fn is_current(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == thread::current().id())
    }
}

/// Sends a request; a panic of the transport is an attempt that failed.
pub(super) fn send(
    transport: &dyn Transport,
    request: Request,
    counters: &Counters,
) -> Result<Response, TransportError> {
    catch_unwind(AssertUnwindSafe(|| transport.send(request))).unwrap_or_else(|_| {
        counters.panics.add(1);
        Err(TransportError::network("the transport panicked"))
    })
}

struct Driver {
    submitter: Submitter,
    transport: Arc<dyn Transport>,
    control: Arc<Control>,
    outbox: Arc<Outbox>,
}

impl Driver {
    fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.step())) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(_) => {
                    self.outbox.counters.panics.add(1);
                    self.sleep(clock::after(clock::now(), PAUSE_AFTER_PANIC));
                }
            }
        }
    }

    fn step(&mut self) -> ControlFlow<()> {
        let orders = self.control.take_orders();
        if orders.flush {
            self.submitter.flush(clock::now());
        }
        if let Some(deadline) = orders.close_by {
            self.submitter.close(clock::now(), deadline);
        }
        match self.submitter.poll(clock::now()) {
            Action::Send(request, delivery) => {
                let result = send(&*self.transport, request, &self.outbox.counters);
                self.submitter.complete(clock::now(), delivery, result);
                self.control.progress();
            }
            Action::Wait(until) => self.sleep(until),
            Action::Done => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn sleep(&self, until: Instant) {
        if self.control.may_sleep(until) {
            // An order that comes in between has left a token, and parking returns at once.
            thread::park_timeout(until.saturating_duration_since(clock::now()));
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.control.done();
    }
}

fn unpark(thread: &OnceLock<Thread>) {
    if let Some(thread) = thread.get() {
        thread.unpark();
    }
}

fn seed() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}

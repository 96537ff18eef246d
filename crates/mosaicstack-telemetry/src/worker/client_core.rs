//! The callers' side of both clients: flush and shutdown.

use std::{
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};

use tracing::{debug, warn};

use super::{
    Process,
    driver::Driver,
    signal::{FlushRequest, Signal},
    wait::{Wait, WakerKey},
};
use crate::{
    LOG_TARGET, clock,
    config::TelemetryConfig,
    error::FlushError,
    event_buffer::EventBuffer,
    handle::TelemetryHandle,
    panics,
    submitter::{Start, Submitter},
};

/// Time after its deadline for which a shutdown still waits for the result of the last attempt,
/// which ends at the deadline.
const GRACE: Duration = Duration::from_millis(20);

/// Time after that for which it waits until the counters are consistent, in the worst case.
const SETTLE: Duration = Duration::from_millis(20);

/// A running client without its worker.
#[derive(Debug)]
pub(crate) struct ClientCore {
    pub(crate) handle: TelemetryHandle,
    /// `None` if telemetry is disabled, or after the shutdown.
    signal: Option<Arc<Signal>>,
    shutdown_timeout: Duration,
    pub(crate) process: Process,
}

impl ClientCore {
    /// Creates a client, and the driver for its worker unless telemetry is disabled. `clock` is the
    /// worker's; `wake` makes the worker look for requests.
    pub(crate) fn new(
        config: &TelemetryConfig,
        clock: fn() -> Instant,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> (Self, Option<Driver>) {
        let process = Process::current();
        let signal = Arc::new(Signal::new(process, wake));
        let wake = {
            let signal = Arc::clone(&signal);
            move || signal.wake_worker()
        };
        let (now, wall) = (clock(), clock::wall());
        let start = Start { now, wall, seed: clock::seed(now, wall) };
        let (submitter, handle) = Submitter::with_clock(config, start, clock, wake);
        let is_enabled = config.is_enabled();
        if !is_enabled {
            debug!(target: LOG_TARGET, "telemetry is disabled: events are counted and dropped");
        }
        let driver = is_enabled
            .then(|| Driver::new(Arc::clone(&signal), Arc::clone(&handle.buffer), submitter));
        let core = Self {
            handle,
            signal: is_enabled.then_some(signal),
            shutdown_timeout: config.shutdown_timeout(),
            process,
        };
        (core, driver)
    }

    /// Requests a flush. Returns `None` if there is nothing to wait for.
    pub(crate) fn flush(
        &self,
        now: Instant,
        timeout: Duration,
    ) -> Result<Option<Flush<'_>>, FlushError> {
        let Some(signal) = &self.signal else { return Ok(None) };
        let buffer = &*self.handle.buffer;
        let target = buffer.queued();
        if buffer.acknowledged() >= target {
            return Ok(None);
        }
        if self.process.is_forked() {
            return Err(FlushError::new(buffer.pending()));
        }
        let deadline = clock::after(now, timeout);
        let number = signal.request_flush();
        let request = FlushRequest { number, target, deadline };
        Ok(Some(Flush { signal, buffer, request, key: None }))
    }

    /// Requests the shutdown. Returns `None` if there is nothing to wait for.
    pub(crate) fn shut_down(&mut self, now: Instant) -> Option<Shutdown> {
        let signal = self.signal.take()?;
        self.handle.buffer.close();
        if self.process.is_forked() {
            return None;
        }
        let deadline = clock::after(now, self.shutdown_timeout);
        signal.request_shutdown(deadline);
        let buffer = Arc::clone(&self.handle.buffer);
        Some(Shutdown { signal, buffer, deadline, key: None })
    }
}

/// A requested flush.
#[derive(Debug)]
pub(crate) struct Flush<'a> {
    signal: &'a Signal,
    buffer: &'a EventBuffer,
    request: FlushRequest,
    key: WakerKey,
}

impl Flush<'_> {
    pub(crate) fn poll(&mut self, now: Instant, cx: &Context<'_>) -> Wait<Result<(), FlushError>> {
        let acknowledged = || self.buffer.acknowledged();
        match self.signal.poll_flush(now, cx, &mut self.key, self.request, acknowledged) {
            // Not read again: it can seem lower while the worker takes the next batch.
            Wait::Ready(true) => Wait::Ready(Ok(())),
            Wait::Ready(false) => Wait::Ready(self.result()),
            Wait::Until(deadline) => Wait::Until(deadline),
        }
    }

    /// The result if the flush ended now.
    pub(crate) fn result(&self) -> Result<(), FlushError> {
        if self.buffer.acknowledged() >= self.request.target {
            return Ok(());
        }
        Err(FlushError::new(self.buffer.pending()))
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        self.signal.remove_waker(self.key);
    }
}

/// A requested shutdown.
#[derive(Debug)]
pub(crate) struct Shutdown {
    signal: Arc<Signal>,
    buffer: Arc<EventBuffer>,
    deadline: Instant,
    key: WakerKey,
}

impl Shutdown {
    /// Ready when the worker has ended and the counters are consistent, or the time is over.
    pub(crate) fn poll(&mut self, now: Instant, cx: &Context<'_>) -> Wait<()> {
        let over = clock::after(self.deadline, GRACE);
        if !self.signal.poll_ended(&mut self.key, cx) && now < over {
            return Wait::Until(over);
        }
        // A worker that is left to itself may be between two counters.
        if self.buffer.stats().is_balanced() || now >= clock::after(over, SETTLE) {
            return Wait::Ready(());
        }
        Wait::Until(clock::after(now, Duration::from_millis(1)))
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.signal.remove_waker(self.key);
    }
}

/// Logs how many events a stopped client leaves undelivered.
pub(crate) fn report_pending(buffer: &EventBuffer) {
    let pending = buffer.pending();
    if pending > 0 {
        // Called while dropping, where a panic of a log subscriber could abort the program.
        let _ = panics::catch(|| {
            warn!(target: LOG_TARGET, "shut down in time, but {pending} events are not delivered");
        });
    }
}

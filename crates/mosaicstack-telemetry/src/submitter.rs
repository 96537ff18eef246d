//! Decides what to send, when to wake, and what an answer means, in virtual time and without I/O.
//!
//! In scope: schedule, retries, pauses that the server asks for, bisection of refused batches,
//! shutdown, counters. Out of scope: sockets, threads, clocks, sleep. A driver asks
//! [`Submitter::poll`] what to do, does it, and reports the result to [`Submitter::complete`].

mod bisection;
mod completion;
mod delivery;
mod report;
#[cfg(feature = "spool")]
mod spooled;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use telemetry_model::BatchReceipt;
use telemetry_transport::Request;

pub use self::delivery::Delivery;
use self::{bisection::Bisection, report::Reporter};
use crate::{
    clock, config::TelemetryConfig, event_buffer::EventBuffer, handle::TelemetryHandle,
    protocol::Protocol, retry::Delays,
};

/// The next action of a driver.
#[must_use = "a driver carries it out"]
#[expect(clippy::large_enum_variant, reason = "moved once, and a request is what it is for")]
pub enum Action {
    /// Send the request, then call [`Submitter::complete`] with the delivery and the result.
    /// Dropping the delivery returns its events to the queue.
    Send(Request, Delivery),
    /// Call [`Submitter::poll`] again at that time, or when woken.
    Wait(Instant),
    /// Nothing is left to do. Final.
    Done,
}

/// The moment at which a submitter starts, and its seed.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "constructed by authors of drivers")]
pub struct Start {
    /// The current time, on the clock of all later calls.
    pub now: Instant,
    /// Seed of the jitter. Use a different one for each client.
    pub seed: u64,
}

/// Schedules the delivery of events.
///
/// A driver carries out its actions; both clients contain one. Time must not run backwards.
///
/// A log subscriber that panics does so through [`poll`](Self::poll) and [`complete`](Self::complete):
/// catch it in the driver. It costs its own message only; go on with `poll`.
///
/// A driver for a program that reports at its end:
///
/// ```
/// use std::time::{Instant, SystemTime};
/// use mosaicstack_telemetry::{TelemetryConfig, sans_io::*, transport::*};
///
/// let config = TelemetryConfig::builder()
///     .server_url("https://tel-api.mosaicstack.dev")
///     .api_key("a".repeat(64))
///     .instance_id("12345678-1234-1234-1234-123456789abc")
///     .build()?;
/// let start = Start { now: Instant::now(), seed: 7 };
/// let (mut submitter, handle) = Submitter::new(&config, start, || {});
/// handle.track(handle.event().model("claude-sonnet-4-5-20250929").build());
///
/// // This transport accepts everything, and time is simulated.
/// let transport = |_: Request| -> Result<Response, TransportError> { Ok(Response::default()) };
/// let mut now = start.now;
/// submitter.close(now, now + config.shutdown_timeout());
/// loop {
///     match submitter.poll(now) {
///         Action::Send(request, delivery) => {
///             let result = transport.send(request);
///             submitter.complete(now, SystemTime::now(), delivery, result);
///         }
///         Action::Wait(until) => now = until, // a real driver sleeps
///         Action::Done => break,
///     }
/// }
/// assert_eq!(handle.stats().delivered, 1);
/// # Ok::<(), mosaicstack_telemetry::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Submitter {
    buffer: Arc<EventBuffer>,
    /// `None` if telemetry is disabled.
    protocol: Option<Protocol>,
    interval: Duration,
    interval_jitter: bool,
    request_timeout: Duration,
    dry_run: bool,
    delays: Delays,
    bisection: Bisection,
    reporter: Reporter,
    /// Time of the next request, unless a full batch or a flush comes first.
    due: Instant,
    /// No request before this time: a backoff, or a pause that the server asked for. Only the
    /// shutdown ignores it, once.
    not_before: Option<Instant>,
    /// A full batch is sent before the interval is over if it has an event from this number on: not
    /// after a flush cycle that gave up.
    early_from: u64,
    /// A flush cycle sends all events before this number without waiting for another interval.
    target: u64,
    closing: Option<Instant>,
}

impl Submitter {
    /// Creates a submitter, and the handle that feeds it.
    ///
    /// `wake` is called when the driver should call [`poll`](Self::poll) before the time of the
    /// last [`Action::Wait`]. Only [`TelemetryHandle::track`] calls it, on the thread of its caller:
    /// it must neither block nor panic, and its allocations and locks add to those of `track`.
    ///
    /// The callback that the configuration contains is called by [`poll`](Self::poll) and
    /// [`complete`](Self::complete).
    #[must_use]
    pub fn new(
        config: &TelemetryConfig,
        start: Start,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> (Self, TelemetryHandle) {
        Self::with_clock(config, start, clock::now, wake)
    }

    /// As [`new`](Self::new); the handle times tasks with `clock`.
    pub(crate) fn with_clock(
        config: &TelemetryConfig,
        start: Start,
        clock: fn() -> Instant,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> (Self, TelemetryHandle) {
        Self::with_buffer(config, start, clock, EventBuffer::new(config, wake))
    }

    fn with_buffer(
        config: &TelemetryConfig,
        start: Start,
        clock: fn() -> Instant,
        buffer: EventBuffer,
    ) -> (Self, TelemetryHandle) {
        let buffer = Arc::new(buffer);
        let handle = TelemetryHandle::new(Arc::clone(&buffer), config.instance_id(), clock);
        let mut delays = Delays::new(config.retry_policy, start.seed);
        let interval = config.submit_interval;
        let first = if config.interval_jitter { delays.first_cycle(interval) } else { interval };
        let submitter = Self {
            reporter: Reporter::new(Arc::clone(&buffer), config.on_notification.clone()),
            buffer,
            protocol: config.server.as_ref().map(Protocol::new),
            interval,
            interval_jitter: config.interval_jitter,
            request_timeout: config.request_timeout,
            dry_run: config.dry_run,
            delays,
            bisection: Bisection::new(config.batch_size),
            due: clock::after(start.now, first),
            not_before: None,
            early_from: 0,
            target: 0,
            closing: None,
        };
        (submitter, handle)
    }

    /// Returns the next action. While a delivery is in flight, polling sends nothing, keeps the
    /// schedule and returns [`Action::Wait`]: a driver may be woken during a request. In a dry run,
    /// each call logs one batch and returns `Action::Wait(now)`, as after an event that was accepted before
    /// older ones.
    pub fn poll(&mut self, now: Instant) -> Action {
        self.reporter.changes();
        let action = self.next_action(now);
        #[cfg(feature = "spool")]
        if matches!(action, Action::Done) {
            self.reporter.ended();
        }
        action
    }

    fn next_action(&mut self, now: Instant) -> Action {
        if self.protocol.is_none() {
            return Action::Done;
        }
        if self.buffer.has_batch_in_flight() {
            return self.wait_for_result(now);
        }
        if self.closing.is_some_and(|deadline| now >= deadline || self.next_attempt() >= deadline) {
            return Action::Done;
        }
        if self.early_from < u64::MAX && self.not_before.is_none_or(|at| now >= at) {
            self.buffer.rearm_wake();
            let has_new = self.buffer.queued() > self.early_from;
            if self.due > now && has_new && self.buffer.has_full_batch() {
                self.start_cycle(now);
            }
        }
        if now < self.next_attempt() {
            return Action::Wait(self.next_attempt());
        }
        self.send_next(now)
    }

    fn wait_for_result(&self, now: Instant) -> Action {
        let expires = clock::after(now, self.request_timeout);
        match self.closing {
            Some(deadline) if now >= deadline => Action::Done,
            deadline => Action::Wait(deadline.map_or(expires, |it| it.min(expires))),
        }
    }

    fn send_next(&mut self, now: Instant) -> Action {
        if self.target <= self.buffer.acknowledged() {
            self.start_cycle(now);
        }
        #[cfg(feature = "spool")]
        if self.closing.is_some() {
            // Events of other processes do not delay a shutdown.
            self.buffer.return_recovered();
        }
        // Read before the batch is taken: an event tracked in between is too late for a shutdown.
        let is_empty = self.buffer.is_empty();
        if let Some(protocol) = &self.protocol
            && let Some(delivery) = Delivery::take(&self.buffer, &mut self.bisection)
        {
            if self.dry_run {
                return self.skip(now, delivery);
            }
            if self.bisection.was_accepted(delivery.position()) {
                delivery.accept(&BatchReceipt::default());
                self.continue_cycle(now);
                self.reporter.accepted(1, &[]);
                // Before the next request, so that a flush that has waited for this event ends.
                return Action::Wait(now);
            }
            let left = self.closing.map(|deadline| deadline.saturating_duration_since(now));
            let timeout = left.map_or(self.request_timeout, |left| left.min(self.request_timeout));
            let request = protocol.report(delivery.body(), timeout);
            self.buffer.counters.requests.add(1);
            // Until the result is known: a driver that drops the delivery polls again at once.
            self.not_before = Some(clock::after(now, self.delays.initial()));
            return Action::Send(request, delivery);
        }
        if self.closing.is_some() && is_empty {
            return Action::Done;
        }
        #[cfg(feature = "spool")]
        if let Some(wait) = self.wait_for_writer(now) {
            return wait;
        }
        self.wait_for_interval(now);
        Action::Wait(self.closing.map_or(self.due, |deadline| deadline.min(self.due)))
    }

    /// Logs a batch instead of sending it. One batch at a time: a log subscriber may be slow, and the
    /// driver has requests of callers to handle in between.
    fn skip(&mut self, now: Instant, delivery: Delivery) -> Action {
        // Infallible: events serialize, and the writer is memory.
        let json = |event| serde_json::to_string(event).unwrap_or_default();
        let events: Vec<String> = delivery.events().map(json).collect();
        delivery.skip();
        self.continue_cycle(now);
        if let Some(protocol) = &self.protocol {
            self.reporter.dry_run(protocol, &events);
        }
        // Events tracked meanwhile may fill a batch.
        Action::Wait(now)
    }

    /// Sends the queued events without waiting for the interval, but not before the end of a
    /// backoff or of a pause that the server asked for. Does nothing after [`close`](Self::close).
    pub fn flush(&mut self, now: Instant) {
        if self.closing.is_none() {
            self.start_cycle(now);
        }
    }

    /// Starts the shutdown: sends the queued events at once, even during a backoff or pause, and is
    /// done by `deadline` in any case. Events tracked from now on are dropped. A second call can
    /// only bring the deadline forward.
    pub fn close(&mut self, now: Instant, deadline: Instant) {
        self.buffer.close();
        if let Some(first) = self.closing {
            self.closing = Some(first.min(deadline));
            return;
        }
        self.closing = Some(deadline);
        self.delays.reset();
        self.not_before = None;
        self.start_cycle(now);
        self.target = u64::MAX;
    }

    /// Time of the next request, unless an event or a call comes first.
    fn next_attempt(&self) -> Instant {
        self.not_before.map_or(self.due, |at| at.max(self.due))
    }

    /// Starts a flush cycle. It sends the events queued by now and not until the queue is empty:
    /// a steady stream of events would make each batch a small one.
    fn start_cycle(&mut self, now: Instant) {
        self.due = now;
        self.early_from = 0;
        self.target = self.target.max(self.buffer.end());
    }

    /// Schedules the rest of the flush cycle, or the next one.
    fn continue_cycle(&mut self, now: Instant) {
        if self.buffer.acknowledged() < self.target {
            self.due = now;
        } else {
            self.wait_for_interval(now);
        }
    }

    fn wait_for_interval(&mut self, now: Instant) {
        self.due = self.next_cycle(now);
        self.early_from = 0;
    }

    fn next_cycle(&mut self, now: Instant) -> Instant {
        let interval = self.interval;
        let wait = if self.interval_jitter { self.delays.cycle(interval) } else { interval };
        clock::after(now, wait)
    }

    /// Schedules the next attempt; false if the flush cycle has no retries left.
    fn schedule_retry(&mut self, now: Instant, retry_after: Option<Duration>) -> bool {
        let delay = self.delays.next(retry_after);
        let wait = delay.or_else(|| retry_after.map(|wait| self.delays.after(wait)));
        self.not_before = wait.map(|wait| clock::after(now, wait));
        if delay.is_some() {
            self.due = now;
        } else {
            self.give_up(now);
        }
        delay.is_some()
    }

    /// Leaves the batch for the next interval.
    fn give_up(&mut self, now: Instant) {
        self.delays.reset();
        self.due = self.next_cycle(now);
        self.early_from = u64::MAX;
        self.target = 0;
        if let Some(deadline) = self.closing {
            // A shutdown has no next interval.
            self.due = self.due.max(deadline);
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(_, delivery) => f.debug_tuple("Send").field(delivery).finish(),
            Self::Wait(until) => f.debug_tuple("Wait").field(until).finish(),
            Self::Done => f.write_str("Done"),
        }
    }
}

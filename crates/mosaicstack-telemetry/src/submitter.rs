//! What to send, when to wake and what an answer means, without doing any of it.
//!
//! In scope: the schedule, retries, the gate that the server's wishes close, halving a batch that
//! is at fault, the last drain, the books. Out of scope: sockets, threads, clocks, sleep. A driver
//! asks [`Submitter::poll`] what to do, does it, and reports with [`Submitter::complete`].

mod delivery;
mod narrowing;
mod report;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use telemetry_transport::{Request, Response, TransportError};

pub use self::delivery::Delivery;
use self::{narrowing::Narrowing, report::Reporter};
use crate::{
    DeliveryOutcome, Health, TelemetryConfig, clock,
    outbox::Outbox,
    protocol::{self, Protocol},
    retry::Delays,
};

/// What a driver has to do next.
#[must_use = "a driver does what it says"]
#[expect(clippy::large_enum_variant, reason = "moved once, and a request is what it is for")]
pub enum Action {
    /// Send the request, then call [`Submitter::complete`] with the delivery and the result.
    /// Dropping the delivery puts its events back.
    Send(Request, Delivery),
    /// Call [`Submitter::poll`] again at that time, or when woken.
    Wait(Instant),
    /// Nothing is left to do, ever.
    Done,
}

/// What a submitter cannot know by itself when it starts.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever writes a driver")]
pub struct Start {
    /// The current time, on the clock of all later calls.
    pub now: Instant,
    /// The same moment on the calendar: for a `Retry-After` that names a date.
    pub wall: SystemTime,
    /// Decides how delays are spread; clients should differ in it.
    pub seed: u64,
}

/// Decides what is sent and when, in virtual time.
///
/// Made by [`TelemetryHandle::with_submitter`](crate::TelemetryHandle::with_submitter), which
/// shows a driver. Time must not run backwards.
#[derive(Debug)]
pub struct Submitter {
    outbox: Arc<Outbox>,
    /// None if telemetry is disabled.
    protocol: Option<Protocol>,
    start: Start,
    interval: Duration,
    interval_jitter: bool,
    request_timeout: Duration,
    dry_run: bool,
    delays: Delays,
    narrowing: Narrowing,
    reporter: Reporter,
    /// When to send next, unless a full batch or a flush comes first.
    due: Instant,
    /// Nothing is sent before: the server or the back-off wants it. Only the last drain ignores it,
    /// once.
    gate: Option<Instant>,
    /// The last cycle gave up: full batches wait for the next one.
    gave_up: bool,
    /// Events queued before this many are sent without waiting for another interval.
    drain_to: u64,
    closing: Option<Instant>,
}

impl Submitter {
    pub(crate) fn new(config: &TelemetryConfig, outbox: Arc<Outbox>, start: Start) -> Self {
        let mut delays = Delays::new(config.retry_policy, start.seed);
        let interval = config.submit_interval;
        let first = if config.interval_jitter { delays.first_cycle(interval) } else { interval };
        Self {
            reporter: Reporter::new(Arc::clone(&outbox)),
            outbox,
            protocol: config.server.as_ref().map(Protocol::new),
            start,
            interval,
            interval_jitter: config.interval_jitter,
            request_timeout: config.request_timeout,
            dry_run: config.dry_run,
            delays,
            narrowing: Narrowing::new(config.batch_size),
            due: clock::after(start.now, first),
            gate: None,
            gave_up: false,
            drain_to: 0,
            closing: None,
        }
    }

    /// What to do now. While a delivery is under way, that is to wait.
    pub fn poll(&mut self, now: Instant) -> Action {
        self.reporter.evictions();
        if self.protocol.is_none() {
            return Action::Done;
        }
        if self.outbox.is_lent() {
            return self.wait_for_result(now);
        }
        if self.closing.is_some_and(|deadline| now >= deadline || self.next() >= deadline) {
            return Action::Done;
        }
        if !self.gave_up && self.is_gate_open(now) {
            self.outbox.listen();
            if self.due > now && self.outbox.has_full_batch() {
                self.start_cycle(now);
            }
        }
        if now < self.next() {
            return Action::Wait(self.next());
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
        if self.drain_to <= self.outbox.settled() {
            self.start_cycle(now);
        }
        // Looked for before the batch: what is tracked in between is too late for the last drain.
        let mut is_empty = self.outbox.is_empty();
        while let Some(protocol) = &self.protocol
            && let Some(batch) = self.outbox.peek(self.narrowing.limit())
        {
            let delivery = Delivery::new(batch, Arc::clone(&self.outbox));
            if self.dry_run {
                let count = delivery.len();
                delivery.skipped();
                self.reporter.dry_run(protocol, count);
                is_empty = self.outbox.is_empty();
                continue;
            }
            let left = self.closing.map(|deadline| deadline.saturating_duration_since(now));
            let timeout = left.map_or(self.request_timeout, |left| left.min(self.request_timeout));
            let request = protocol.report(delivery.batch(), timeout);
            self.outbox.counters.requests.add(1);
            // Until the result is known: a driver that drops the delivery comes back at once.
            self.gate = Some(clock::after(now, self.delays.initial()));
            return Action::Send(request, delivery);
        }
        if self.closing.is_some() && is_empty {
            return Action::Done;
        }
        self.wait_for_interval(now);
        Action::Wait(self.closing.map_or(self.due, |deadline| deadline.min(self.due)))
    }

    /// Takes in what became of a request.
    ///
    /// Returns what the answer was taken to mean.
    pub fn complete(
        &mut self,
        now: Instant,
        delivery: Delivery,
        result: Result<Response, TransportError>,
    ) -> DeliveryOutcome {
        // The calendar of the start, carried on by the monotonic clock: it does not jump.
        let Start { now: start, wall, .. } = self.start;
        let wall = wall.checked_add(now.saturating_duration_since(start)).unwrap_or(wall);
        let verdict = DeliveryOutcome::of(&result, wall);
        // Booked and scheduled first, said last: whoever listens to the log may panic.
        let count = delivery.len();
        match verdict {
            DeliveryOutcome::Accepted => {
                self.narrowing.accepted(count);
                self.delays.reset();
                self.outbox.counters.set_health(Health::Good);
                let receipt = protocol::receipt(result.as_ref().map_or(&[], |it| it.body()));
                let rejected = delivery.accepted(&receipt);
                self.gate = None;
                self.go_on(now);
                self.reporter.accepted(count, &rejected);
            }
            DeliveryOutcome::Retry { retry_after } => {
                self.outbox.counters.retried.add(1);
                self.outbox.counters.set_health(Health::Retrying);
                drop(delivery);
                let gave_up = !self.retry(now, retry_after);
                let pending = gave_up.then(|| self.outbox.pending());
                self.reporter.failed(count, &result, self.next(), pending);
            }
            DeliveryOutcome::BatchRejected => {
                self.narrowing.at_fault(count);
                self.delays.reset();
                self.gate = None;
                self.outbox.counters.set_health(Health::Good);
                if let Some(culprit) = delivery.single().map(|event| event.event_id) {
                    delivery.rejected();
                    self.go_on(now);
                    self.reporter.rejected(culprit, &result);
                } else {
                    self.outbox.counters.retried.add(1);
                    drop(delivery);
                    self.due = now;
                }
            }
            DeliveryOutcome::Misconfigured => {
                self.outbox.counters.set_health(Health::Misconfigured);
                drop(delivery);
                self.gate = None;
                self.give_up(now);
                self.reporter.refused(&result, self.next());
            }
        }
        self.reporter.evictions();
        verdict
    }

    /// Sends what is queued now without waiting for the interval. Does not open a gate that the
    /// server or the back-off has closed. Does nothing once closed.
    pub fn flush(&mut self, now: Instant) {
        if self.closing.is_none() {
            self.start_cycle(now);
        }
    }

    /// Ends with one last drain, over by `deadline` whatever the server does; it begins at once
    /// even if a gate is closed. What is tracked from now on is dropped. A second call can only make
    /// the deadline earlier.
    pub fn close(&mut self, now: Instant, deadline: Instant) {
        self.outbox.close();
        if let Some(first) = self.closing {
            self.closing = Some(first.min(deadline));
            return;
        }
        self.closing = Some(deadline);
        self.delays.reset();
        self.gate = None;
        self.start_cycle(now);
        self.drain_to = u64::MAX;
    }

    /// When something is to be done next, if nothing comes in between.
    fn next(&self) -> Instant {
        self.gate.map_or(self.due, |gate| gate.max(self.due))
    }

    fn is_gate_open(&self, now: Instant) -> bool {
        self.gate.is_none_or(|gate| now >= gate)
    }

    fn start_cycle(&mut self, now: Instant) {
        self.due = now;
        self.gave_up = false;
        self.drain_to = self.drain_to.max(self.outbox.queued());
    }

    /// After something was settled: with what the cycle has left, or with the next cycle.
    fn go_on(&mut self, now: Instant) {
        if self.outbox.settled() < self.drain_to {
            self.due = now;
        } else {
            self.wait_for_interval(now);
        }
    }

    fn wait_for_interval(&mut self, now: Instant) {
        self.due = self.next_cycle(now);
        self.gave_up = false;
    }

    fn next_cycle(&mut self, now: Instant) -> Instant {
        let interval = self.interval;
        let wait = if self.interval_jitter { self.delays.cycle(interval) } else { interval };
        clock::after(now, wait)
    }

    /// Schedules the next attempt; false if the cycle has had enough of them.
    fn retry(&mut self, now: Instant, retry_after: Option<Duration>) -> bool {
        let delay = self.delays.next(retry_after);
        let wait = delay.or_else(|| retry_after.map(|wait| self.delays.after(wait)));
        self.gate = wait.map(|wait| clock::after(now, wait));
        if delay.is_some() {
            self.due = now;
        } else {
            self.give_up(now);
        }
        delay.is_some()
    }

    /// Leaves the batch for the next cycle.
    fn give_up(&mut self, now: Instant) {
        self.delays.reset();
        self.due = self.next_cycle(now);
        self.gave_up = true;
        self.drain_to = 0;
        if let Some(deadline) = self.closing {
            // There is no next cycle.
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

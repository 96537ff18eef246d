//! What to send, when to wake and what an answer means, without doing any of it.
//!
//! In scope: the schedule, retries, the gate that the server's wishes close, halving a batch that
//! is at fault, the last drain, the books. Out of scope: sockets, threads, clocks, sleep. A driver
//! asks [`Submitter::poll`] what to do, does it, and reports with [`Submitter::complete`].

mod delivery;
mod narrowing;
mod report;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use telemetry_transport::{Request, Response, TransportError};

pub use self::delivery::Delivery;
use self::{narrowing::Narrowing, report::Reporter};
use crate::{
    Health, TelemetryConfig, Verdict, clock,
    outbox::Outbox,
    protocol::{self, Protocol},
    retry::Delays,
};

/// What a driver has to do next.
#[derive(Debug)]
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
    request_timeout: Duration,
    dry_run: bool,
    delays: Delays,
    narrowing: Narrowing,
    reporter: Reporter,
    /// When to send next, unless something else comes first.
    due: Instant,
    pause: Pause,
    /// Events queued before this many are sent without waiting for another interval.
    drain_to: u64,
    closing: Option<Instant>,
}

/// Why nothing is sent before `due`, and what may be sent all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// The interval is not over: a full batch or a flush ends it.
    Interval,
    /// The last cycle gave up: a flush ends it.
    Cycle,
    /// The server or the back-off wants it: only the last drain ends it, once.
    Gate,
}

impl Submitter {
    pub(crate) fn new(config: &TelemetryConfig, outbox: Arc<Outbox>, start: Start) -> Self {
        Self {
            outbox,
            protocol: config.server.as_ref().map(Protocol::new),
            start,
            interval: config.submit_interval,
            request_timeout: config.request_timeout,
            dry_run: config.dry_run,
            delays: Delays::new(config.retry_policy, start.seed),
            narrowing: Narrowing::new(config.batch_size),
            reporter: Reporter::default(),
            due: clock::after(start.now, config.submit_interval),
            pause: Pause::Interval,
            drain_to: 0,
            closing: None,
        }
    }

    /// What to do now.
    pub fn poll(&mut self, now: Instant) -> Action {
        self.reporter.evictions(&self.outbox);
        if self.protocol.is_none() {
            return Action::Done;
        }
        if self.closing.is_some_and(|deadline| now >= deadline || self.due >= deadline) {
            return Action::Done;
        }
        if self.pause == Pause::Interval {
            self.outbox.listen();
            if self.due > now && self.outbox.has_full_batch() {
                self.start_cycle(now);
            }
        }
        if now < self.due {
            return Action::Wait(self.due);
        }
        self.send_next(now)
    }

    fn send_next(&mut self, now: Instant) -> Action {
        if self.drain_to <= self.outbox.settled() {
            self.start_cycle(now);
        }
        while let Some(protocol) = &self.protocol
            && let Some(batch) = self.outbox.peek(self.narrowing.limit())
        {
            if self.dry_run {
                self.reporter.dry_run(protocol, batch.len());
                let count = batch.len();
                self.outbox.commit(batch, 0, (&self.outbox.counters.dry_run, count));
                continue;
            }
            let left = self.closing.map(|deadline| deadline.saturating_duration_since(now));
            let timeout = left.map_or(self.request_timeout, |left| left.min(self.request_timeout));
            let request = protocol.report(&batch, timeout);
            self.outbox.counters.requests.add(1);
            return Action::Send(request, Delivery::new(batch, Arc::clone(&self.outbox)));
        }
        if self.closing.is_some() && self.outbox.is_empty() {
            return Action::Done;
        }
        // Empty, or another driver has the batch.
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
    ) -> Verdict {
        // The calendar of the start, carried on by the monotonic clock: it does not jump.
        let wall = self.start.wall + now.saturating_duration_since(self.start.now);
        let verdict = Verdict::of(&result, wall);
        match verdict {
            Verdict::Accepted => {
                let body = result.map(Response::into_body).unwrap_or_default();
                self.accepted(now, delivery, &body);
            }
            Verdict::Transient { retry_after } => {
                self.reporter.failed(delivery.len(), &result);
                self.outbox.counters.retried.add(1);
                self.outbox.counters.set_health(Health::Retrying);
                drop(delivery);
                self.retry(now, retry_after);
            }
            Verdict::BatchAtFault => {
                self.narrowing.at_fault(delivery.len());
                if let Some(culprit) = delivery.single() {
                    self.reporter.rejected(culprit.event_id, &result);
                    delivery.rejected();
                } else {
                    self.outbox.counters.retried.add(1);
                }
                self.due = now;
            }
            Verdict::Configuration => {
                self.reporter.refused(&result);
                self.outbox.counters.set_health(Health::Refused);
                drop(delivery);
                self.give_up(now, Pause::Cycle, self.interval);
            }
        }
        self.reporter.evictions(&self.outbox);
        verdict
    }

    /// Sends what is queued now without waiting for the interval. Does not open a gate that the
    /// server or the back-off has closed. Does nothing once closed.
    pub fn flush(&mut self, now: Instant) {
        if self.closing.is_some() {
            return;
        }
        if self.pause == Pause::Gate && now < self.due {
            self.drain_to = self.drain_to.max(self.outbox.queued());
        } else {
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
        self.start_cycle(now);
        self.drain_to = u64::MAX;
    }

    fn start_cycle(&mut self, now: Instant) {
        self.due = now;
        self.pause = Pause::Interval;
        self.drain_to = self.drain_to.max(self.outbox.queued());
    }

    fn wait_for_interval(&mut self, now: Instant) {
        self.due = clock::after(now, self.interval);
        self.pause = Pause::Interval;
    }

    fn accepted(&mut self, now: Instant, delivery: Delivery, body: &[u8]) {
        self.narrowing.accepted(delivery.len());
        self.delays.reset();
        self.reporter.accepted(&delivery);
        self.outbox.counters.set_health(Health::Good);
        let receipt = protocol::receipt(body);
        self.reporter.rejections(&receipt);
        delivery.accepted(&receipt);
        if self.outbox.settled() < self.drain_to {
            self.due = now;
        } else {
            self.wait_for_interval(now);
        }
    }

    fn retry(&mut self, now: Instant, retry_after: Option<Duration>) {
        if let Some(delay) = self.delays.next(retry_after) {
            self.due = clock::after(now, delay);
            self.pause = Pause::Gate;
            return;
        }
        match retry_after.map(|wait| self.delays.clamped(wait)) {
            Some(wait) if wait > self.interval => self.give_up(now, Pause::Gate, wait),
            Some(_) => self.give_up(now, Pause::Gate, self.interval),
            None => self.give_up(now, Pause::Cycle, self.interval),
        }
        self.reporter.gave_up(self.outbox.pending());
    }

    /// Leaves the batch for the next cycle.
    fn give_up(&mut self, now: Instant, pause: Pause, wait: Duration) {
        self.delays.reset();
        self.due = clock::after(now, wait);
        self.pause = pause;
        self.drain_to = 0;
        if let Some(deadline) = self.closing {
            // There is no next cycle.
            self.due = self.due.max(deadline);
        }
    }
}

//! Reference model: events as numbers in a deque, and the documented rules of the submitter.

mod completion;

use std::{
    collections::{BTreeSet, VecDeque},
    mem,
    time::Duration,
};

use mosaicstack_telemetry::{Stats, TelemetryConfig};

/// Expected state of a submitter. Times count from the start.
#[derive(Debug)]
pub(super) struct Reference {
    config: TelemetryConfig,
    stats: Stats,
    /// Number of events queued so far: the number of the next one.
    queued: u64,
    waiting: VecDeque<u64>,
    in_flight: Vec<u64>,
    /// Of the events in flight, those at the start that were not sent: the server refused them.
    skipped: usize,
    /// End of the interval, or the next request of the running cycle.
    due: Duration,
    not_before: NotBefore,
    /// Retries of the batch in this cycle.
    retries: u32,
    /// A full batch is sent early if it has an event from this number on; none after a cycle that gave up.
    early_from: u64,
    /// Events before this number belong to the cycle.
    cycle_end: u64,
    pub(super) deadline: Option<Duration>,
    /// Bisection: events for each request, and events of the suspected batch that are left.
    limit: usize,
    suspects: usize,
    /// The server has accepted events since it refused the suspects.
    is_proven: bool,
    /// The event to send alone, behind those that were refused alone.
    probe: Option<u64>,
    /// The events that were accepted as probes, and how many of those before the last may be rejected.
    ahead: BTreeSet<u64>,
    credit: usize,
    is_credited: bool,
    /// Events refused alone that are not tried again, and the number of refusals since the last acceptance.
    tried: BTreeSet<u64>,
    refused: usize,
    has_accepted: bool,
}

/// Time before which nothing is sent.
#[derive(Clone, Copy, Debug)]
enum NotBefore {
    At(Duration),
    /// Jittered: the next poll shows the exact time.
    Between(Duration, Duration),
}

/// Expected result of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// A request with this number of events and this timeout.
    Send(usize, Duration),
    Wait(Duration),
    Done,
}

impl Reference {
    pub(super) fn new(config: &TelemetryConfig) -> Self {
        Self {
            stats: Stats::default(),
            queued: 0,
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            skipped: 0,
            due: config.submit_interval(),
            not_before: NotBefore::At(Duration::ZERO),
            retries: 0,
            early_from: 0,
            cycle_end: 0,
            deadline: None,
            limit: config.batch_size(),
            suspects: 0,
            is_proven: false,
            probe: None,
            ahead: BTreeSet::new(),
            credit: 0,
            is_credited: false,
            tried: BTreeSet::new(),
            refused: 0,
            has_accepted: false,
            config: config.clone(),
        }
    }

    /// Expected counters.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.stats;
        stats.pending = self.pending() as u64;
        stats
    }

    pub(super) fn pending(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    /// The events of the request in flight.
    pub(super) fn sent(&self) -> &[u64] {
        &self.in_flight[self.skipped..]
    }

    /// Returns whether the event is queued.
    pub(super) fn track(&mut self) -> bool {
        self.stats.tracked += 1;
        if self.deadline.is_some() {
            self.stats.dropped.closed += 1;
            return false;
        }
        self.waiting.push_back(self.queued);
        self.queued += 1;
        // Events in flight keep their places until the result is known.
        while self.waiting.front().is_some_and(|&number| number < self.oldest_place()) {
            self.waiting.pop_front();
            self.stats.evicted += 1;
        }
        true
    }

    /// `actual` resolves a jittered delay; it must lie within the bounds.
    pub(super) fn poll(&mut self, now: Duration, actual: Expected) -> Expected {
        self.resolve(now, actual);
        if !self.in_flight.is_empty() {
            let expires = now + self.config.request_timeout();
            let until = self.deadline.map_or(expires, |deadline| deadline.min(expires));
            return if until > now { Expected::Wait(until) } else { Expected::Done };
        }
        if self.deadline.is_some_and(|deadline| now >= deadline || self.next() >= deadline) {
            return Expected::Done;
        }
        if self.flushes_early(now) {
            self.start_cycle(now);
        }
        if now < self.next() {
            return Expected::Wait(self.next());
        }
        if self.cycle_end <= self.acknowledged() {
            self.start_cycle(now);
        }
        if self.config.is_dry_run() && !self.waiting.is_empty() {
            let count = self.limit.min(self.waiting.len());
            self.waiting.drain(..count);
            self.stats.dropped.dry_run += count as u64;
            self.continue_cycle(now);
            return Expected::Wait(now);
        }
        if self.waiting.front().is_some_and(|it| self.ahead.contains(it)) {
            self.waiting.pop_front();
            self.stats.delivered += 1;
            self.continue_cycle(now);
            return Expected::Wait(now);
        }
        if let Some(count) = self.next_batch() {
            self.in_flight.extend(self.waiting.drain(..count));
            let count = count - self.skipped;
            self.stats.requests += 1;
            self.not_before = NotBefore::At(now + self.backoff(0));
            let timeout = self.config.request_timeout();
            let left = self.deadline.map_or(timeout, |deadline| deadline - now);
            return Expected::Send(count, left.min(timeout));
        }
        if self.deadline.is_some() && self.pending() == 0 {
            return Expected::Done;
        }
        self.wait_for_interval(now);
        Expected::Wait(self.deadline.map_or(self.due, |deadline| deadline.min(self.due)))
    }

    /// Number of events to take; `skipped` of them are not sent.
    fn next_batch(&mut self) -> Option<usize> {
        self.skipped = 0;
        let (first, last) = (*self.waiting.front()?, *self.waiting.back()?);
        if let Some(probe) = self.probe() {
            self.skipped = (probe - first) as usize;
            return Some(self.skipped + 1);
        }
        let before = self.ahead.range(first..).next().copied().unwrap_or(last + 1) - first;
        Some(self.limit.min(before as usize))
    }

    /// The probe, unless it was evicted.
    fn probe(&self) -> Option<u64> {
        self.probe.filter(|probe| self.waiting.contains(probe))
    }

    pub(super) fn flush(&mut self, now: Duration) {
        if self.deadline.is_none() {
            self.start_cycle(now);
        }
    }

    pub(super) fn close(&mut self, now: Duration, deadline: Duration) {
        if let Some(first) = &mut self.deadline {
            *first = deadline.min(*first);
            return;
        }
        self.deadline = Some(deadline);
        self.reset_backoff();
        self.start_cycle(now);
        self.cycle_end = u64::MAX;
    }

    /// Events in flight go back to their places; those whose places are taken are evicted.
    pub(super) fn put_back(&mut self) {
        for number in mem::take(&mut self.in_flight).into_iter().rev() {
            if number < self.oldest_place() {
                self.stats.evicted += 1;
            } else {
                self.waiting.push_front(number);
            }
        }
    }

    /// True if a driver that waits has to be woken for a full batch.
    pub(super) fn flushes_early(&self, now: Duration) -> bool {
        let full = self.config.batch_size().min(self.config.max_queue_size());
        let is_full = self.config.is_early_flush() && self.pending() >= full;
        is_full && self.queued > self.early_from && self.opens() <= now && now < self.due
    }

    /// True if the next poll shows the length of a delay.
    pub(super) fn is_unresolved(&self) -> bool {
        matches!(self.not_before, NotBefore::Between(..))
    }

    fn resolve(&mut self, now: Duration, actual: Expected) {
        let NotBefore::Between(from, to) = self.not_before else { return };
        let at = match actual {
            // Hidden behind the next cycle, which begins later.
            Expected::Wait(until) if until == self.due && until > from => {
                self.not_before = NotBefore::Between(from, to.min(until));
                return;
            }
            // Already over.
            Expected::Wait(until) if until > to && from <= now => now.min(to),
            Expected::Send(..) => now.min(to),
            Expected::Wait(until) => until,
            Expected::Done => self.deadline.map_or(from, |deadline| deadline.clamp(from, to)),
        };
        assert!(from <= at && at <= to, "delay until {at:?}, expected {from:?} to {to:?}");
        self.not_before = NotBefore::At(at);
    }

    fn next(&self) -> Duration {
        self.due.max(self.opens())
    }

    fn opens(&self) -> Duration {
        match self.not_before {
            NotBefore::At(at) | NotBefore::Between(at, _) => at,
        }
    }

    fn start_cycle(&mut self, now: Duration) {
        self.due = now;
        self.early_from = 0;
        self.cycle_end = self.cycle_end.max(self.queued);
    }

    /// Completes the events in flight; continues the cycle, or waits for the next one.
    fn acknowledge(&mut self, now: Duration, rejected: usize) {
        self.stats.delivered += (self.in_flight.len() - rejected) as u64;
        self.stats.rejected += rejected as u64;
        self.in_flight.clear();
        self.reset_backoff();
        self.continue_cycle(now);
    }

    fn continue_cycle(&mut self, now: Duration) {
        if self.acknowledged() < self.cycle_end {
            self.due = now;
        } else {
            self.wait_for_interval(now);
        }
    }

    fn reset_backoff(&mut self) {
        self.retries = 0;
        self.not_before = NotBefore::At(Duration::ZERO);
    }

    fn wait_for_interval(&mut self, now: Duration) {
        self.due = now + self.config.submit_interval();
        self.early_from = 0;
    }

    fn back_off(&mut self, now: Duration, asked: Option<Duration>) {
        let policy = self.config.retry_policy();
        let asked = asked.map(|asked| asked.min(policy.max_retry_after));
        // Without `Retry-After`, half of the delay in either direction; otherwise the delay, or a tenth
        // of `Retry-After`, on top of it.
        let between = |delay: Duration| {
            let from = now + asked.unwrap_or(delay / 2);
            NotBefore::Between(from, from + delay.max(asked.unwrap_or_default() / 10))
        };
        if self.retries < policy.max_retries {
            self.not_before = between(self.backoff(self.retries));
            self.retries += 1;
            self.due = now;
        } else {
            let none = NotBefore::At(Duration::ZERO);
            self.not_before = asked.map_or(none, |_| between(self.backoff(0)));
            self.give_up(now);
        }
    }

    fn give_up(&mut self, now: Duration) {
        self.retries = 0;
        self.wait_for_interval(now);
        self.early_from = u64::MAX;
        self.cycle_end = 0;
        self.due = self.due.max(self.deadline.unwrap_or_default());
    }

    /// Backoff after this number of retries, without jitter.
    fn backoff(&self, retries: u32) -> Duration {
        let policy = self.config.retry_policy();
        let factor = 1_u32.checked_shl(retries).unwrap_or(u32::MAX);
        policy.initial_backoff.saturating_mul(factor).min(policy.max_backoff)
    }

    /// Number of the first event that is still queued or in flight.
    fn acknowledged(&self) -> u64 {
        let first = self.in_flight.first().or_else(|| self.waiting.front());
        first.copied().unwrap_or(self.queued)
    }

    /// Number of the oldest event for which the queue has a place.
    fn oldest_place(&self) -> u64 {
        self.queued.saturating_sub(self.config.max_queue_size() as u64)
    }
}

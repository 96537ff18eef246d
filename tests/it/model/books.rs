//! What becomes of each event, as the documentation has it: numbers in a deque.

use std::collections::VecDeque;

use mosaicstack_telemetry::{Health, Stats};

/// Where every event is. Events are numbered in the order in which they were queued.
#[derive(Debug)]
pub(super) struct Books {
    places: u64,
    /// How many events have been queued, ever.
    pub(super) queued: u64,
    pub(super) waiting: VecDeque<u64>,
    /// Those of the request that is under way.
    pub(super) out: Vec<u64>,
    pub(super) closed: bool,
    pub(super) delivered: u64,
    pub(super) rejected: u64,
    pub(super) evicted: u64,
    pub(super) dry_run: u64,
    pub(super) too_late: u64,
    pub(super) requests: u64,
    pub(super) retried: u64,
    pub(super) health: Health,
}

impl Books {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: places as u64,
            queued: 0,
            waiting: VecDeque::new(),
            out: Vec::new(),
            closed: false,
            delivered: 0,
            rejected: 0,
            evicted: 0,
            dry_run: 0,
            too_late: 0,
            requests: 0,
            retried: 0,
            health: Health::Good,
        }
    }

    /// Queues an event. Returns its number, unless it is too late for it.
    pub(super) fn track(&mut self) -> Option<u64> {
        if self.closed {
            self.too_late += 1;
            return None;
        }
        let number = self.queued;
        self.queued += 1;
        self.waiting.push_back(number);
        // If the oldest one is under way, its place is not taken before it is known what becomes
        // of it.
        while self.waiting.front().is_some_and(|&oldest| oldest < self.oldest()) {
            self.waiting.pop_front();
            self.evicted += 1;
        }
        Some(number)
    }

    /// Sends the oldest events, up to so many.
    pub(super) fn send(&mut self, max: usize) {
        assert!(self.out.is_empty(), "one request at a time");
        let count = max.min(self.waiting.len());
        self.out.extend(self.waiting.drain(..count));
        self.requests += 1;
    }

    /// In a dry run, so many are logged instead.
    pub(super) fn skip(&mut self, max: usize) {
        let count = max.min(self.waiting.len());
        self.waiting.drain(..count);
        self.dry_run += count as u64;
    }

    /// The server has taken those under way, but for some.
    pub(super) fn accept(&mut self, rejected: usize) {
        self.delivered += (self.out.len() - rejected) as u64;
        self.rejected += rejected as u64;
        self.out.clear();
    }

    /// Those under way go back to where they were, but for those whose place is gone.
    pub(super) fn put_back(&mut self) {
        for number in std::mem::take(&mut self.out).into_iter().rev() {
            if number < self.oldest() {
                self.evicted += 1;
            } else {
                self.waiting.push_front(number);
            }
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.waiting.len() + self.out.len()
    }

    /// How many events have left, from the first one on.
    pub(super) fn settled(&self) -> u64 {
        let first = self.out.first().or_else(|| self.waiting.front());
        first.copied().unwrap_or(self.queued)
    }

    /// The number of the oldest event that there is a place for.
    fn oldest(&self) -> u64 {
        self.queued.saturating_sub(self.places)
    }

    /// Compares every number with what the client says of itself.
    pub(super) fn check(&self, stats: Stats) {
        let said = [
            stats.delivered,
            stats.rejected,
            stats.evicted,
            stats.pending,
            stats.dropped.dry_run,
            stats.dropped.closed,
            stats.dropped.disabled,
            stats.requests,
            stats.retried,
            stats.tracked,
            stats.panics,
        ];
        let booked = [
            self.delivered,
            self.rejected,
            self.evicted,
            self.pending() as u64,
            self.dry_run,
            self.too_late,
            0,
            self.requests,
            self.retried,
            self.queued + self.too_late,
            0,
        ];
        assert_eq!(said, booked, "{stats:?}\n{self:?}");
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!(stats.health, self.health);
    }
}

//! What a run has shown.

use std::{ops::Range, time::Duration};

use mosaicstack_telemetry::Stats;

use super::{END, FROM, Fleet, MINUTE, STARTS, UNTIL, server::Server};

/// What became of a fleet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Of which fleet.
    pub fleet: Fleet,
    /// Requests that the server saw, by second.
    pub seconds: Vec<u32>,
    /// How many clients had events when the outage ended.
    pub backlogged: usize,
    /// When each of them was successful for the first time, since the end of the outage; sorted.
    pub first: Vec<Duration>,
    /// When each had delivered all of that, sorted.
    pub drained: Vec<Duration>,
    /// The books of all clients.
    pub stats: Stats,
    /// Whether each client's books balance, and name the events that it tracked.
    pub is_balanced: bool,
    /// Events that the server took.
    pub accepted: u64,
    /// Those of them whose client was still waiting for the answer when the simulation ended.
    pub unanswered: u64,
    /// Events that it took twice, or out of order.
    pub again: u64,
    /// Answers with a `Retry-After`.
    pub asked_to_wait: u64,
    /// Requests before the time that such an answer named.
    pub early: u64,
    /// The most requests of one client within nine tenths of its interval, during the outage.
    pub busiest: usize,
}

/// The requests of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// All of them.
    pub total: u64,
    /// In an average minute, rounded.
    pub a_minute: u64,
    /// In the busiest second.
    pub peak: u32,
}

impl Report {
    pub(super) fn new(fleet: Fleet) -> Self {
        Self {
            fleet,
            seconds: Vec::new(),
            backlogged: 0,
            first: Vec::new(),
            drained: Vec::new(),
            stats: Stats::default(),
            is_balanced: true,
            accepted: 0,
            unanswered: 0,
            again: 0,
            asked_to_wait: 0,
            early: 0,
            busiest: 0,
        }
    }

    pub(super) fn add(&mut self, client: Stats, tracked: u64) {
        self.is_balanced &= client.is_balanced() && client.tracked == tracked;
        let Stats { tracked, delivered, rejected, evicted, pending, requests, retried, .. } =
            &mut self.stats;
        *tracked += client.tracked;
        *delivered += client.delivered;
        *rejected += client.rejected;
        *evicted += client.evicted;
        *pending += client.pending;
        *requests += client.requests;
        *retried += client.retried;
        self.stats.dropped.closed += client.dropped.total();
    }

    pub(super) fn close(&mut self, server: Server) {
        self.first.sort_unstable();
        self.drained.sort_unstable();
        self.accepted = server.accepted;
        self.again = server.again;
        self.asked_to_wait = server.asked_to_wait;
        self.early = server.early;
        self.busiest = server.busiest;
        self.seconds = server.seconds;
        self.seconds.resize(index(END), 0);
    }

    /// The half hour before the outage, when all clients have started.
    #[must_use]
    pub fn before(&self) -> Load {
        self.load(STARTS..FROM)
    }

    /// The hour of the outage.
    #[must_use]
    pub fn during(&self) -> Load {
        self.load(FROM..UNTIL)
    }

    /// The hour after it.
    #[must_use]
    pub fn after(&self) -> Load {
        self.load(UNTIL..END)
    }

    fn load(&self, time: Range<Duration>) -> Load {
        let seconds = &self.seconds[index(time.start)..index(time.end)];
        let total = seconds.iter().copied().map(u64::from).sum::<u64>();
        let minutes = seconds.len() as u64 / MINUTE.as_secs();
        let peak = seconds.iter().copied().max().unwrap_or(0);
        Load { total, a_minute: (total + minutes / 2) / minutes, peak }
    }

    /// Requests by minute.
    #[must_use]
    pub fn minutes(&self) -> Vec<u32> {
        self.seconds.chunks(index(MINUTE)).map(|minute| minute.iter().sum()).collect()
    }

    /// Within what time after the outage so many percent of the clients with a backlog had their
    /// first success; none if they had not.
    #[must_use]
    pub fn back(&self, percent: usize) -> Option<Duration> {
        let count = (self.backlogged * percent).div_ceil(100);
        self.first.get(count.checked_sub(1)?).copied()
    }

    /// When the last of the backlog was delivered, after the outage; none if some of it was not.
    #[must_use]
    pub fn done(&self) -> Option<Duration> {
        self.drained.get(self.backlogged.checked_sub(1)?).copied()
    }
}

fn index(time: Duration) -> usize {
    usize::try_from(time.as_secs()).unwrap_or(usize::MAX)
}

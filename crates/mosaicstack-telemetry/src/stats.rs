//! The books: what became of every event.

use std::fmt;

use crate::sync::{AtomicU8, AtomicU64, Ordering};

/// What became of every event that was tracked, so far.
///
/// `tracked = delivered + rejected + evicted + dropped + pending`, exactly, whenever no call is
/// under way; reading does not wait for one, so a reading in the middle of a call may be a few
/// events off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Events handed to `track`.
    pub tracked: u64,
    /// Events that the server accepted.
    pub delivered: u64,
    /// Events that the server refused, one by one; they are not sent again.
    pub rejected: u64,
    /// Events that had to make room for newer ones.
    pub evicted: u64,
    /// Events that were not queued.
    pub dropped: Dropped,
    /// Events in the queue or under way. After `stop`: those that were not delivered in time.
    pub pending: u64,
    /// Requests that were sent to deliver events, whatever came of them.
    pub requests: u64,
    /// Those of them that failed in a way that may pass, and those whose batch was halved.
    pub retried: u64,
    /// Panics that were caught in the transport, in the hook for notices, or elsewhere on the worker.
    pub panics: u64,
    /// How the last request went.
    pub health: Health,
}

/// Why events were not queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Telemetry is disabled.
    pub disabled: u64,
    /// A dry run: they were logged instead of sent.
    pub dry_run: u64,
    /// They were tracked after `stop`.
    pub closed: u64,
}

impl Dropped {
    /// The sum of all reasons.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.disabled + self.dry_run + self.closed
    }
}

/// How the last request went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// The server took it, or refused it for its content; or there was none yet.
    #[default]
    Good,
    /// It failed, and is tried again: the server is busy or cannot be reached.
    Retrying,
    /// The server refused the configuration: the key, the instance or the URL is wrong. Events are
    /// kept, and it is asked again each interval.
    Misconfigured,
}

impl Stats {
    /// Whether the sum is right. Always true while no call is under way.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        let gone = self.delivered + self.rejected + self.evicted + self.dropped.total();
        self.tracked == gone + self.pending
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tracked {}, delivered {}, rejected {}, evicted {}, dropped {}, pending {}",
            self.tracked,
            self.delivered,
            self.rejected,
            self.evicted,
            self.dropped.total(),
            self.pending,
        )
    }
}

/// Each number, counted where it happens.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) tracked: Counter,
    pub(crate) delivered: Counter,
    pub(crate) rejected: Counter,
    pub(crate) evicted: Counter,
    pub(crate) disabled: Counter,
    pub(crate) dry_run: Counter,
    pub(crate) closed: Counter,
    pub(crate) requests: Counter,
    pub(crate) retried: Counter,
    pub(crate) panics: Counter,
    health: AtomicU8,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        // Release: whoever sees the count sees what was counted. Acquire: for `latest`.
        self.0.fetch_add(count as u64, Ordering::AcqRel);
    }

    /// The value, and whoever counts on from there sees what was written before this call.
    pub(crate) fn latest(&self) -> u64 {
        self.0.fetch_add(0, Ordering::AcqRel)
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Counters {
    pub(crate) fn set_health(&self, health: Health) {
        self.health.store(health as u8, Ordering::Release);
    }

    pub(crate) fn health(&self) -> Health {
        match self.health.load(Ordering::Acquire) {
            health if health == Health::Retrying as u8 => Health::Retrying,
            health if health == Health::Misconfigured as u8 => Health::Misconfigured,
            _ => Health::Good,
        }
    }

    pub(crate) fn stats(&self, pending: u64) -> Stats {
        Stats {
            tracked: self.tracked.value(),
            delivered: self.delivered.value(),
            rejected: self.rejected.value(),
            evicted: self.evicted.value(),
            dropped: Dropped {
                disabled: self.disabled.value(),
                dry_run: self.dry_run.value(),
                closed: self.closed.value(),
            },
            pending,
            requests: self.requests.value(),
            retried: self.retried.value(),
            panics: self.panics.value(),
            health: self.health(),
        }
    }
}

//! Counts the events that leave the queue for each flush that waits.

use std::collections::BTreeMap;

use crate::sync::{Mutex, MutexGuard};

/// The flushes that callers wait for. Events are numbered from 0 in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct FlushTargets(Mutex<Commits>);

#[derive(Debug, Default)]
pub(super) struct Commits {
    /// Number of committed events: delivered, rejected, logged in a dry run, or passed on to the spool.
    total: u64,
    by_flush: BTreeMap<u64, Flush>,
    last_key: u64,
}

#[derive(Debug)]
struct Flush {
    end: u64,
    /// Number of committed events before the end.
    committed: u64,
    /// Of those, the number that were left to the spool.
    #[cfg(feature = "spool")]
    stored: u64,
}

/// A flush that a caller waits for. End it when the wait is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushTarget {
    key: u64,
    /// Number of the first event that the flush does not wait for.
    pub(crate) end: u64,
    /// Number of events evicted before the flush.
    evicted: u64,
}

impl FlushTargets {
    pub(super) fn lock(&self) -> MutexGuard<'_, Commits> {
        self.0.lock()
    }
}

impl Commits {
    /// Begins a flush of the events before `end`. The arguments have to be read under this lock.
    pub(super) fn begin(&mut self, end: u64, acknowledged: u64, evicted: u64) -> FlushTarget {
        // Both numbers may be too low: `acknowledged` while the worker takes a batch, `evicted` while a
        // call of `track` has not counted yet.
        let evicted = evicted.max(acknowledged.saturating_sub(self.total));
        self.last_key += 1;
        let flush = Flush {
            end,
            committed: self.total,
            #[cfg(feature = "spool")]
            stored: 0,
        };
        self.by_flush.insert(self.last_key, flush);
        FlushTarget { key: self.last_key, end, evicted }
    }

    #[cfg(feature = "spool")]
    pub(super) fn is_any(&self) -> bool {
        !self.by_flush.is_empty()
    }

    pub(super) fn end(&mut self, target: FlushTarget) {
        self.by_flush.remove(&target.key);
    }

    /// Counts the commit of `count` events, the first of which has this number.
    pub(super) fn add(&mut self, first: u64, count: u64) {
        self.total += count;
        for flush in self.by_flush.values_mut() {
            flush.committed += flush.end.saturating_sub(first).min(count);
        }
    }

    /// Counts events that are left to the spool, in addition to [`add`](Self::add).
    #[cfg(feature = "spool")]
    pub(super) fn store(&mut self, first: u64, count: u64) {
        for flush in self.by_flush.values_mut() {
            flush.stored += flush.end.saturating_sub(first).min(count);
        }
    }

    /// Number of events of a flush that were left to the spool.
    #[cfg(feature = "spool")]
    pub(super) fn stored(&self, target: FlushTarget) -> u64 {
        self.by_flush.get(&target.key).map_or(0, |flush| flush.stored)
    }

    #[cfg(not(feature = "spool"))]
    pub(super) const fn stored(&self, _: FlushTarget) -> u64 {
        0
    }

    /// Number of events of a flush that were evicted since it began, if all before the event
    /// `acknowledged` have left the queue.
    pub(super) fn evicted(&self, target: FlushTarget, acknowledged: u64) -> u64 {
        let committed = self.by_flush.get(&target.key).map_or(0, |flush| flush.committed);
        acknowledged.min(target.end).saturating_sub(committed + target.evicted)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn evictions_before_a_flush_are_not_its_own() {
        // The second case: one of four evictions is not counted yet when the flush begins.
        for counted in [4, 3] {
            let mut commits = Commits::default();
            commits.add(0, 1);
            let flush = commits.begin(10, 5, counted);
            commits.add(5, 3);
            assert_eq!(commits.evicted(flush, 8), 0, "{counted}");
            assert_eq!(commits.evicted(flush, 10), 2, "{counted}");
        }
    }
}

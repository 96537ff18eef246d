//! Events on their way from the spool to the submitter.
//!
//! The spool's writer is the only reader of the queue of tracked events, and pushes them here. The submitter is
//! the only one that takes them out.

use std::{collections::VecDeque, sync::OnceLock};

use telemetry_queue::{Batch, EvictingQueue};
use telemetry_spool::{Error, Spool};

use super::Event;
use crate::{
    stats::Counter,
    sync::{AtomicBool, AtomicU64, Mutex, Ordering},
};

pub(crate) struct Backlog {
    /// The writer pushes only if there is room, so that nothing is evicted.
    pub(super) queue: EvictingQueue<Event>,
    /// The number of events that are sent before the interval is over.
    full_batch: Option<u64>,
    ledger: Mutex<Ledger>,
    /// Number of events that were ever in the backlog, or are about to be pushed.
    announced: AtomicU64,
    /// Events in the spool that entered and left the backlog.
    pub(super) stored: Counter,
    pub(super) unstored: Counter,
    /// Events that were read from the spool wait until the others are sent.
    is_awaited: AtomicBool,
    /// The submitter has ended.
    pub(super) is_abandoned: AtomicBool,
    /// For its counters; not set until it could be opened.
    pub(super) spool: OnceLock<Spool>,
    /// Records of the spool that are no events.
    pub(crate) not_events: Counter,
    /// The first error since the last success, until it is reported.
    failure: Mutex<Option<String>>,
    is_failing: AtomicBool,
}

/// The origin of the events in the backlog.
#[derive(Debug, Default)]
struct Ledger {
    /// In the order of the queue, without gaps.
    runs: VecDeque<Run>,
    /// Number of the first event that was read from the spool and left to it again.
    returned_from: Option<u64>,
}

#[derive(Debug)]
struct Run {
    len: u64,
    origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Tracked by this client: the number of the first event, and whether they are in the spool.
    Tracked { first: u64, is_stored: bool },
    /// Read from the spool.
    Recovered,
}

impl Backlog {
    pub(super) fn new(capacity: usize, full_batch: Option<u64>) -> Self {
        Self {
            queue: EvictingQueue::new(capacity),
            full_batch,
            ledger: Mutex::default(),
            announced: AtomicU64::new(0),
            stored: Counter::default(),
            unstored: Counter::default(),
            is_awaited: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            spool: OnceLock::new(),
            not_events: Counter::default(),
            failure: Mutex::default(),
            is_failing: AtomicBool::new(false),
        }
    }

    pub(crate) fn set_spool(&self, spool: Spool) {
        let _ = self.spool.set(spool);
    }

    /// Records that the spool could not be used; only the first time since it worked.
    pub(crate) fn spool_failed(&self, error: &Error) {
        if !self.is_failing.swap(true, Ordering::AcqRel) {
            *self.failure.lock() = Some(error.to_string());
        }
    }

    pub(crate) fn spool_works(&self) {
        self.is_failing.store(false, Ordering::Release);
    }

    /// The error that was recorded since the last call.
    pub(crate) fn take_failure(&self) -> Option<String> {
        self.failure.lock().take()
    }

    /// The number of events for which there is room.
    pub(crate) fn room(&self) -> usize {
        self.queue.capacity().saturating_sub(self.queue.len())
    }

    /// The number of events, counted from the first, that have left the backlog.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.queue.acknowledged()
    }

    /// The number of events that were ever in the backlog.
    pub(crate) fn queued(&self) -> u64 {
        self.queue.pushed()
    }

    /// True if the submitter has ended.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }

    /// The number of events, with those that are about to be pushed.
    pub(super) fn len(&self) -> u64 {
        let acknowledged = self.acknowledged();
        self.announced().saturating_sub(acknowledged)
    }

    pub(super) fn announced(&self) -> u64 {
        self.announced.load(Ordering::Acquire)
    }

    /// Announces tracked events, the first of which has this number. Then remove them from the queue of tracked
    /// events and [`push`](Self::push) them: who sees them gone there must find them here.
    pub(super) fn announce(&self, first: u64, len: usize, is_stored: bool) {
        self.add(len, Origin::Tracked { first, is_stored });
    }

    /// Adds events that were read from the spool.
    pub(super) fn recover(&self, events: Vec<Event>) {
        self.add(events.len(), Origin::Recovered);
        self.push(events);
    }

    fn add(&self, len: usize, origin: Origin) {
        if len > 0 {
            // Counted before they are in the backlog: `stats` subtracts them from those.
            if origin.is_stored() {
                self.stored.add(len);
            }
            self.ledger.lock().runs.push_back(Run { len: len as u64, origin });
            self.announced.fetch_add(len as u64, Ordering::AcqRel);
        }
    }

    pub(super) fn push(&self, events: Vec<Event>) {
        for event in events {
            // Infallible: there is room.
            drop(self.queue.push(event));
        }
    }

    /// True if a batch is full, or if events that were read from the spool are the oldest ones or wait until the
    /// others are sent.
    pub(super) fn has_full_batch(&self) -> bool {
        let is_full = self.full_batch.is_some_and(|full| self.queue.len() as u64 >= full);
        is_full || self.is_awaited.load(Ordering::Acquire) || self.is_recovered_first()
    }

    /// Records whether events that were read from the spool wait until the others are sent.
    pub(crate) fn set_waiting(&self, are_waiting: bool) {
        self.is_awaited.store(are_waiting, Ordering::Release);
    }

    fn is_recovered_first(&self) -> bool {
        self.ledger.lock().runs.front().is_some_and(|run| run.origin == Origin::Recovered)
    }

    /// The number of the oldest tracked event.
    pub(super) fn oldest_tracked(&self) -> Option<u64> {
        self.ledger.lock().runs.iter().find_map(|run| match run.origin {
            Origin::Tracked { first, .. } => Some(first),
            Origin::Recovered => None,
        })
    }

    /// Removes a batch for good.
    pub(super) fn commit(&self, batch: Batch<Event>) {
        let stored = self.ledger.lock().remove(batch.len());
        drop(batch.commit());
        // Counted after they have left: `stats` subtracts them from those in the backlog.
        self.unstored.add(stored);
    }

    /// Leaves the oldest events to the spool, as far as they were read from it and are not in flight. Returns
    /// their number.
    pub(super) fn return_recovered(&self) -> usize {
        let mut ledger = self.ledger.lock();
        let Some(Run { len, origin: Origin::Recovered }) = ledger.runs.front() else { return 0 };
        let len = usize::try_from(*len).unwrap_or(usize::MAX);
        let Some(batch) = self.queue.peek_batch(len) else { return 0 };
        let count = batch.len();
        ledger.returned_from.get_or_insert_with(|| batch.first());
        ledger.remove(count);
        drop(ledger);
        drop(batch.commit());
        self.unstored.add(count);
        count
    }

    /// Number of the first event that [`return_recovered`](Self::return_recovered) has left to the spool since the
    /// last call.
    pub(crate) fn take_returned(&self) -> Option<u64> {
        self.ledger.lock().returned_from.take()
    }
}

impl Ledger {
    /// Removes the oldest events, and returns how many of them are in the spool.
    fn remove(&mut self, mut count: usize) -> usize {
        let mut stored = 0;
        while count > 0
            && let Some(run) = self.runs.front_mut()
        {
            let part = run.len.min(count as u64);
            run.len -= part;
            if let Origin::Tracked { first, .. } = &mut run.origin {
                *first += part;
            }
            let (origin, is_over, part) = (run.origin, run.len == 0, part as usize);
            stored += if origin.is_stored() { part } else { 0 };
            count -= part;
            if is_over {
                self.runs.pop_front();
            }
        }
        stored
    }
}

impl Origin {
    const fn is_stored(self) -> bool {
        !matches!(self, Self::Tracked { is_stored: false, .. })
    }
}

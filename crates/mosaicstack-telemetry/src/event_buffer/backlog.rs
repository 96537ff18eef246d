//! Events on their way from the spool to the submitter.
//!
//! The spool's writer is the only reader of the queue of tracked events, and pushes them here. The submitter is
//! the only one that takes them out.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, OnceLock},
};

use telemetry_queue::{Batch, EvictingQueue};
use telemetry_spool::{Error, Spool};
use telemetry_transport::bytes::Bytes;

use super::Event;
use crate::{
    protocol::Json,
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
    /// Events in the backlog that came to be in the spool, and of those the ones that have left.
    pub(super) stored: Counter,
    pub(super) unstored: Counter,
    /// Events that were read from the spool wait until the others are sent.
    is_awaited: AtomicBool,
    /// The writer waits for room.
    is_writer_waiting: AtomicBool,
    /// There is news for the submitter, which the writer is to wake.
    has_news: AtomicBool,
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

/// Origin and JSON of the events in the backlog, which have consecutive numbers.
#[derive(Debug, Default)]
struct Ledger {
    /// Number of the oldest event.
    first: u64,
    /// Events before this number are in the spool: they are written in order, and recovered ones have no others
    /// before them.
    stored_to: u64,
    runs: VecDeque<Run>,
    /// Number of the first event that was read from the spool and left to it again.
    returned_from: Option<u64>,
}

/// Consecutive events of one origin.
#[derive(Debug)]
struct Run {
    len: u64,
    origin: Origin,
    /// The events as they are sent, from the element `json_from` on.
    json: Arc<Json>,
    json_from: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Tracked by this client; the number of the first event among those.
    Tracked { first: u64 },
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
            is_writer_waiting: AtomicBool::new(false),
            has_news: AtomicBool::new(false),
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

    /// Makes the writer wake the submitter at the end of its step.
    pub(crate) fn set_news(&self) {
        self.has_news.store(true, Ordering::Release);
    }

    /// True if there is news since the last call.
    pub(crate) fn take_news(&self) -> bool {
        self.has_news.swap(false, Ordering::AcqRel)
    }

    /// Records that the spool could not be used; only the first time since it worked.
    pub(crate) fn spool_failed(&self, error: &Error) {
        if !self.is_failing.swap(true, Ordering::AcqRel) {
            *self.failure.lock() = Some(error.to_string());
        }
        self.set_news();
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
    pub(super) fn announce(&self, first: u64, json: Arc<Json>) {
        self.add(Origin::Tracked { first }, json);
    }

    /// Adds events that were read from the spool. There are no others.
    pub(super) fn recover(&self, events: Vec<Event>, json: Arc<Json>) {
        let end = self.announced() + json.len() as u64;
        self.add(Origin::Recovered, json);
        self.set_stored(end);
        self.push(events);
    }

    fn add(&self, origin: Origin, json: Arc<Json>) {
        let len = json.len() as u64;
        self.ledger.lock().runs.push_back(Run { len, origin, json, json_from: 0 });
        self.announced.fetch_add(len, Ordering::AcqRel);
        self.set_news();
    }

    pub(super) fn push(&self, events: Vec<Event>) {
        for event in events {
            // Infallible: there is room.
            drop(self.queue.push(event));
        }
    }

    /// Records that the events before this number are in the spool.
    pub(crate) fn set_stored(&self, end: u64) {
        let mut ledger = self.ledger.lock();
        let before = ledger.stored_to.max(ledger.first);
        ledger.stored_to = ledger.stored_to.max(end);
        self.stored.add(usize::try_from(end.saturating_sub(before)).unwrap_or(usize::MAX));
        drop(ledger);
        self.set_news();
    }

    /// The body of a request with these events, from the one of this number on.
    pub(super) fn body(&self, first: u64, len: usize) -> Bytes {
        let parts = self.ledger.lock().parts(first, len);
        Json::body(&parts)
    }

    /// True if a batch is full, or if events that were read from the spool are the oldest ones or wait until the
    /// others are sent.
    pub(super) fn has_full_batch(&self) -> bool {
        let is_full = self.full_batch.is_some_and(|full| self.queue.len() as u64 >= full);
        is_full || self.is_awaited.load(Ordering::Acquire) || self.is_recovered_first()
    }

    /// Records whether events that were read from the spool wait until the others are sent.
    pub(crate) fn set_awaited(&self, are_awaited: bool) {
        self.is_awaited.store(are_awaited, Ordering::Release);
        if are_awaited {
            self.set_news();
        }
    }

    fn is_recovered_first(&self) -> bool {
        self.ledger.lock().runs.front().is_some_and(|run| run.origin == Origin::Recovered)
    }

    /// The number of the oldest tracked event.
    pub(super) fn oldest_tracked(&self) -> Option<u64> {
        self.ledger.lock().runs.iter().find_map(|run| match run.origin {
            Origin::Tracked { first } => Some(first),
            Origin::Recovered => None,
        })
    }

    /// Removes a batch for good. True if that is news for the writer: it has records to acknowledge, or waits.
    #[must_use]
    pub(super) fn commit(&self, batch: Batch<Event>) -> bool {
        let stored = self.ledger.lock().remove(batch.len() as u64);
        drop(batch.commit());
        // Counted after they have left: `stats` subtracts them from those in the backlog.
        self.unstored.add(stored);
        stored > 0 || self.is_writer_waiting.load(Ordering::Acquire)
    }

    /// Records whether the writer waits for room. Set it before looking for some. It is woken for events in the spool
    /// anyway, and wakes up by itself when others are to be written.
    pub(crate) fn set_writer_waiting(&self, is_waiting: bool) {
        // Swapped, so that a commit that does not see it is seen by what follows.
        self.is_writer_waiting.swap(is_waiting, Ordering::AcqRel);
    }

    /// Leaves the oldest events to the spool, as far as they were read from it and are not in flight. Returns
    /// their number.
    pub(super) fn return_recovered(&self) -> usize {
        let mut ledger = self.ledger.lock();
        let Some(Run { len, origin: Origin::Recovered, .. }) = ledger.runs.front() else {
            return 0;
        };
        let len = usize::try_from(*len).unwrap_or(usize::MAX);
        let Some(batch) = self.queue.peek_batch(len) else { return 0 };
        let count = batch.len();
        ledger.returned_from.get_or_insert_with(|| batch.first());
        ledger.remove(count as u64);
        drop(ledger);
        self.set_news();
        drop(batch.commit());
        self.unstored.add(count);
        count
    }

    /// The number of the first event that is not done with, and whether recovered events from there on were left to
    /// the spool since the last call. Both under one lock: events that were left must not count as done with.
    pub(crate) fn take_progress(&self) -> (u64, bool) {
        let mut ledger = self.ledger.lock();
        let returned = ledger.returned_from.take();
        (returned.unwrap_or(ledger.first), returned.is_some())
    }
}

impl Ledger {
    /// The JSON of these events.
    fn parts(&self, first: u64, len: usize) -> Vec<(Arc<Json>, Range<usize>)> {
        let mut skip = usize::try_from(first.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let mut left = len;
        let mut parts = Vec::new();
        for run in &self.runs {
            let run_len = usize::try_from(run.len).unwrap_or(usize::MAX);
            let from = skip.min(run_len);
            let part = left.min(run_len - from);
            skip -= from;
            left -= part;
            let start = run.json_from + from;
            if part > 0 {
                parts.push((Arc::clone(&run.json), start..start + part));
            }
            if left == 0 {
                break;
            }
        }
        parts
    }

    /// Removes the oldest events, and returns how many of them are in the spool.
    fn remove(&mut self, count: u64) -> usize {
        let stored = self.stored_to.saturating_sub(self.first).min(count);
        self.first += count;
        let mut left = count;
        while left > 0
            && let Some(run) = self.runs.front_mut()
        {
            let part = run.len.min(left);
            left -= part;
            run.len -= part;
            run.json_from += part as usize;
            if let Origin::Tracked { first } = &mut run.origin {
                *first += part;
            }
            if run.len == 0 {
                self.runs.pop_front();
            }
        }
        usize::try_from(stored).unwrap_or(usize::MAX)
    }
}

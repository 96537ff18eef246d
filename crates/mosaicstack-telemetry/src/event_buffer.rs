//! The queue of tracked events, its counters, and the wake-up of the worker that drains it.

#[cfg(feature = "spool")]
pub(crate) mod backlog;
mod flush_targets;
#[cfg(feature = "spool")]
mod spooling;

use std::fmt;

use telemetry_model::TaskCompletionEvent;
use telemetry_queue::{Batch, EvictingQueue};
use telemetry_transport::TransportError;

pub(crate) use self::flush_targets::FlushTarget;
use self::flush_targets::FlushTargets;
use crate::{
    config::TelemetryConfig,
    stats::{Counter, Counters, Health, Stats},
    sync::{AtomicBool, Ordering},
};

pub(crate) type Event = Box<TaskCompletionEvent>;

pub(crate) struct EventBuffer {
    /// `None` if telemetry is disabled.
    queue: Option<EvictingQueue<Event>>,
    /// The events that the submitter sends, if the writer of a spool reads the queue.
    #[cfg(feature = "spool")]
    backlog: Option<backlog::Backlog>,
    pub(crate) counters: Counters,
    closed: AtomicBool,
    /// The number of queued events at which `track` wakes the reader of the queue, before its interval is over.
    wake_at: Option<u64>,
    wake: Box<dyn Fn() + Send + Sync>,
    /// The reader of the queue has been woken and has not looked yet.
    woken_for_reader: AtomicBool,
    /// Events are being evicted, and the worker has been woken to report it.
    in_eviction_burst: AtomicBool,
    /// The events that a shutdown left behind have been logged.
    pending_reported: AtomicBool,
    /// There is no worker: each event tries to start it.
    lacks_worker: AtomicBool,
    flush_targets: FlushTargets,
}

impl EventBuffer {
    /// `wake` is called from `track`: it must neither block nor panic.
    pub(crate) fn new(config: &TelemetryConfig, wake: impl Fn() + Send + Sync + 'static) -> Self {
        // A queue smaller than a batch is full before a batch is.
        let full_batch = config.batch_size.min(config.max_queue_size) as u64;
        Self {
            queue: config.is_enabled().then(|| EvictingQueue::new(config.max_queue_size)),
            #[cfg(feature = "spool")]
            backlog: None,
            counters: Counters::default(),
            closed: AtomicBool::new(false),
            wake_at: config.early_flush.then_some(full_batch),
            wake: Box::new(wake),
            woken_for_reader: AtomicBool::new(false),
            in_eviction_burst: AtomicBool::new(false),
            pending_reported: AtomicBool::new(false),
            lacks_worker: AtomicBool::new(false),
            flush_targets: FlushTargets::default(),
        }
    }

    /// Queues an event, or counts it as dropped.
    pub(crate) fn track(&self, event: TaskCompletionEvent) {
        self.counters.tracked.add(1);
        let Some(queue) = &self.queue else { return self.counters.disabled.add(1) };
        if self.closed.load(Ordering::Acquire) {
            return self.counters.closed.add(1);
        }
        let evicted = queue.push(Box::new(event));
        if evicted.is_some() {
            self.counters.evicted.add(1);
            self.wake_for_eviction();
        }
        if self.wakes_reader() && !self.woken_for_reader.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
        // Relaxed: a hint, which a later event sees as well.
        if self.lacks_worker.load(Ordering::Relaxed) {
            self.wake_submitter();
        }
        drop(evicted);
    }

    /// Records whether there is a worker, which `track` wakes as long as there is none.
    pub(crate) fn set_worker(&self, is_started: bool) {
        let health = if is_started { Health::Good } else { Health::NoWorker };
        self.counters.set_health(health);
        self.lacks_worker.store(!is_started, Ordering::Relaxed);
    }

    /// Wakes the worker at the first eviction of a burst, so that it logs a warning. `track` does
    /// not log: a subscriber of `tracing` may do I/O.
    fn wake_for_eviction(&self) {
        let is_known = &self.in_eviction_burst;
        if !is_known.load(Ordering::Relaxed) && !is_known.swap(true, Ordering::AcqRel) {
            self.wake_submitter();
        }
    }

    fn wakes_reader(&self) -> bool {
        self.wake_at.is_some_and(|count| self.tracked_len() >= count)
    }

    /// True if a batch is full, or came from the spool: it is sent without waiting for the interval.
    pub(crate) fn has_full_batch(&self) -> bool {
        #[cfg(feature = "spool")]
        if let Some(backlog) = &self.backlog {
            return backlog.has_full_batch();
        }
        self.wakes_reader()
    }

    /// For the submitter: makes the next full batch wake it again. Call it before looking for a full batch.
    pub(crate) fn rearm_wake(&self) {
        #[cfg(feature = "spool")]
        if self.backlog.is_some() {
            return; // The writer of the spool wakes the submitter.
        }
        self.rearm();
    }

    /// Wakes the submitter, through the writer of the spool if there is one.
    fn wake_submitter(&self) {
        self.set_news();
        (self.wake)();
    }

    /// Makes the writer of the spool, if there is one, wake the submitter after its step.
    fn set_news(&self) {
        #[cfg(feature = "spool")]
        if let Some(backlog) = &self.backlog {
            backlog.set_news();
        }
    }

    fn rearm(&self) {
        self.woken_for_reader.swap(false, Ordering::AcqRel);
    }

    #[cfg(feature = "spool")]
    pub(crate) fn wake_reader(&self) {
        (self.wake)();
    }

    /// Ends a burst of evictions: the next eviction wakes the worker again. Returns the number of
    /// evictions so far.
    pub(crate) fn end_eviction_burst(&self) -> u64 {
        self.in_eviction_burst.store(false, Ordering::Release);
        self.counters.evicted.latest()
    }

    /// Makes `track` drop all further events.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// The queue that the submitter takes events from.
    fn outgoing(&self) -> Option<&EvictingQueue<Event>> {
        #[cfg(feature = "spool")]
        if let Some(backlog) = &self.backlog {
            return Some(&backlog.queue);
        }
        self.queue.as_ref()
    }

    /// Takes up to `max` of the oldest events; none if there are none or a batch is in flight.
    pub(crate) fn take_batch(&self, max: usize) -> Option<Batch<Event>> {
        self.outgoing()?.peek_batch(max)
    }

    /// True if a batch was taken, and neither released nor committed.
    pub(crate) fn has_batch_in_flight(&self) -> bool {
        self.outgoing().is_some_and(EvictingQueue::has_batch_in_flight)
    }

    /// Puts a batch back, and counts the events that were evicted meanwhile.
    pub(crate) fn release(&self, batch: Batch<Event>) {
        self.counters.evicted.add(batch.release().len());
    }

    /// Removes a batch for good: counts `delivered` events as such, and the others by `other`.
    pub(crate) fn commit(&self, batch: Batch<Event>, delivered: usize, other: (&Counter, usize)) {
        // Counted before they leave: a reader that sees them gone must find them in the counters.
        self.counters.delivered.add(delivered);
        other.0.add(other.1);
        #[cfg(feature = "spool")]
        if let Some(backlog) = &self.backlog {
            if backlog.commit(batch) {
                (self.wake)();
            }
            return;
        }
        // Likewise: a flush that sees them gone must find them committed, or they seem evicted.
        self.flush_targets.lock().add(batch.first(), batch.len() as u64);
        drop(batch.commit());
    }

    /// True for the first caller, who reports the events that the shutdown leaves pending.
    pub(crate) fn report_pending_once(&self) -> bool {
        !self.pending_reported.swap(true, Ordering::Relaxed)
    }

    /// Begins a flush of the events queued by now.
    pub(crate) fn begin_flush(&self) -> FlushTarget {
        let mut commits = self.flush_targets.lock();
        // The end is read last: an eviction in between is one during the flush.
        let (acknowledged, evicted) = (self.left_queue(), self.counters.evicted.value());
        commits.begin(self.tracked_end(), acknowledged, evicted)
    }

    /// Numbers of events of this flush that were evicted since it began, and that were left to the spool. All of its
    /// events have left the queue if it `is_over`.
    pub(crate) fn missing_since(&self, target: FlushTarget, is_over: bool) -> (u64, u64) {
        // Not read again: it can seem lower while a batch is taken.
        let acknowledged = if is_over { target.end } else { self.left_queue() };
        let targets = self.flush_targets.lock();
        (targets.evicted(target, acknowledged), targets.stored(target))
    }

    pub(crate) fn end_flush(&self, target: FlushTarget) {
        self.flush_targets.lock().end(target);
    }

    pub(crate) fn has_room(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.len() < queue.capacity())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending() == 0
    }

    /// The number of events in memory.
    pub(crate) fn pending(&self) -> u64 {
        #[cfg(feature = "spool")]
        if let Some(backlog) = &self.backlog {
            // Read first: events are announced in the backlog before they leave the queue.
            let tracked = self.tracked_len();
            return tracked + backlog.len();
        }
        self.tracked_len()
    }

    /// The number of events that were tracked and are in the queue.
    fn tracked_len(&self) -> u64 {
        self.queue.as_ref().map_or(0, EvictingQueue::len) as u64
    }

    /// The number of events tracked since the start, without those that were dropped.
    pub(crate) fn tracked_end(&self) -> u64 {
        self.queue.as_ref().map_or(0, EvictingQueue::pushed)
    }

    /// The number of tracked events, counted from the first, that have left the queue.
    fn left_queue(&self) -> u64 {
        self.queue.as_ref().map_or(0, EvictingQueue::acknowledged)
    }

    /// The number of tracked events, counted from the first, that the submitter has done with or that were
    /// evicted.
    pub(crate) fn tracked_acknowledged(&self) -> u64 {
        // Read first: events are in the backlog before they leave the queue.
        let left = self.left_queue();
        #[cfg(feature = "spool")]
        if let Some(first) = self.backlog.as_ref().and_then(backlog::Backlog::oldest_tracked) {
            return left.min(first);
        }
        left
    }

    /// The number of events that the submitter could take since the start.
    pub(crate) fn queued(&self) -> u64 {
        self.outgoing().map_or(0, EvictingQueue::pushed)
    }

    /// As [`queued`](Self::queued), with those that the writer of the spool still has to pass on.
    pub(crate) fn end(&self) -> u64 {
        #[cfg(feature = "spool")]
        if let Some(backlog) = &self.backlog {
            let tracked = self.tracked_len();
            return tracked + backlog.announced();
        }
        self.queued()
    }

    /// Of the events that the submitter could take, the number, counted from the first, that have left.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.outgoing().map_or(0, EvictingQueue::acknowledged)
    }

    pub(crate) fn stats(&self) -> Stats {
        let stats = self.counters.stats(self.pending());
        #[cfg(feature = "spool")]
        let stats = self.with_spool(stats);
        stats
    }

    pub(crate) fn count_panic(&self) {
        self.counters.panics.add(1);
        self.set_news();
    }

    /// Counts a panic of the transport and returns the error of the failed attempt.
    pub(crate) fn transport_panicked(&self) -> TransportError {
        self.count_panic();
        // The worker reports it; a request for predictions does not wake it otherwise.
        self.wake_submitter();
        TransportError::network("the transport panicked")
    }
}

impl fmt::Debug for EventBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBuffer").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

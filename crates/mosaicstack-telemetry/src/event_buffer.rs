//! The queue of tracked events, its counters, and the wake-up of the worker that drains it.

mod flush_targets;

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
    pub(crate) counters: Counters,
    closed: AtomicBool,
    /// The number of pending events that wakes the worker before its interval is over.
    full_batch: Option<u64>,
    wake: Box<dyn Fn() + Send + Sync>,
    /// The worker has been woken for a full batch and has not looked yet.
    woken_for_batch: AtomicBool,
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
            counters: Counters::default(),
            closed: AtomicBool::new(false),
            full_batch: config.early_flush.then_some(full_batch),
            wake: Box::new(wake),
            woken_for_batch: AtomicBool::new(false),
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
        if self.has_full_batch() && !self.woken_for_batch.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
        // Relaxed: a hint, which a later event sees as well.
        if self.lacks_worker.load(Ordering::Relaxed) {
            (self.wake)();
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
            (self.wake)();
        }
    }

    /// True if a batch is full, and is sent without waiting for the interval.
    pub(crate) fn has_full_batch(&self) -> bool {
        self.full_batch.is_some_and(|full| self.pending() >= full)
    }

    /// Makes the next full batch wake the worker again. Call it before looking for a full batch.
    pub(crate) fn rearm_wake(&self) {
        self.woken_for_batch.swap(false, Ordering::AcqRel);
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

    /// Takes up to `max` of the oldest events; none if there are none or a batch is in flight.
    pub(crate) fn take_batch(&self, max: usize) -> Option<Batch<Event>> {
        self.queue.as_ref()?.peek_batch(max)
    }

    /// True if a batch was taken, and neither released nor committed.
    pub(crate) fn has_batch_in_flight(&self) -> bool {
        self.queue.as_ref().is_some_and(EvictingQueue::has_batch_in_flight)
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
        let (acknowledged, evicted) = (self.acknowledged(), self.counters.evicted.value());
        commits.begin(self.queued(), acknowledged, evicted)
    }

    /// Number of events of this flush that were evicted since it began, when all events before
    /// `acknowledged` have left the queue.
    pub(crate) fn evicted_since(&self, target: FlushTarget, acknowledged: u64) -> u64 {
        self.flush_targets.lock().evicted(target, acknowledged)
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

    pub(crate) fn pending(&self) -> u64 {
        self.queue.as_ref().map_or(0, EvictingQueue::len) as u64
    }

    /// The number of events queued since the start.
    pub(crate) fn queued(&self) -> u64 {
        self.queue.as_ref().map_or(0, EvictingQueue::pushed)
    }

    /// The number of events, counted from the first, that have left the queue.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.queue.as_ref().map_or(0, EvictingQueue::acknowledged)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.counters.stats(self.pending())
    }

    pub(crate) fn count_panic(&self) {
        self.counters.panics.add(1);
    }

    /// Counts a panic of the transport and returns the error of the failed attempt.
    pub(crate) fn transport_panicked(&self) -> TransportError {
        self.count_panic();
        // The worker reports it; a request for predictions does not wake it otherwise.
        (self.wake)();
        TransportError::network("the transport panicked")
    }
}

impl fmt::Debug for EventBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBuffer").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

//! Where tracked events wait: the queue, its books, and the wake-up of whoever empties it.

use std::fmt;

use telemetry_model::TaskCompletionEvent;
use telemetry_queue::{Batch, EvictingQueue};
use telemetry_transport::TransportError;

use crate::{
    Notice, Stats, TelemetryConfig,
    notices::Notices,
    stats::{Counter, Counters},
    sync::{AtomicBool, Ordering},
};

pub(crate) type Event = Box<TaskCompletionEvent>;

pub(crate) struct Outbox {
    /// None if telemetry is disabled.
    queue: Option<EvictingQueue<Event>>,
    pub(crate) counters: Counters,
    closed: AtomicBool,
    /// How many waiting events are worth waking the driver for.
    full_batch: Option<u64>,
    wake: Box<dyn Fn() + Send + Sync>,
    /// Whether the driver has been woken for a full batch and has not looked yet.
    nudged: AtomicBool,
    /// Whether events are being evicted and the driver knows, or is about to.
    evicting: AtomicBool,
    pub(crate) notices: Notices,
    /// Whether a batch is out.
    lent: AtomicBool,
}

impl Outbox {
    /// `wake` is called from `track`: it must neither block nor panic.
    pub(crate) fn new(
        config: &TelemetryConfig,
        wake: impl Fn() + Send + Sync + 'static,
        notices: Notices,
    ) -> Self {
        // A queue smaller than a batch is full before a batch is.
        let full_batch = config.batch_size.min(config.max_queue_size) as u64;
        Self {
            queue: config.is_enabled().then(|| EvictingQueue::new(config.max_queue_size)),
            counters: Counters::default(),
            closed: AtomicBool::new(false),
            full_batch: config.early_flush.then_some(full_batch),
            wake: Box::new(wake),
            nudged: AtomicBool::new(false),
            evicting: AtomicBool::new(false),
            notices,
            lent: AtomicBool::new(false),
        }
    }

    /// Queues an event, or counts why not.
    pub(crate) fn track(&self, event: TaskCompletionEvent) {
        self.counters.tracked.add(1);
        let Some(queue) = &self.queue else { return self.counters.disabled.add(1) };
        if self.closed.load(Ordering::Acquire) {
            return self.counters.closed.add(1);
        }
        let evicted = queue.push(Box::new(event));
        if evicted.is_some() {
            self.counters.evicted.add(1);
            self.note_eviction();
        }
        if self.has_full_batch() && !self.nudged.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
        drop(evicted);
    }

    /// Wakes the driver at the first eviction of a spell, so that it can say so.
    fn note_eviction(&self) {
        if !self.evicting.load(Ordering::Relaxed) && !self.evicting.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
    }

    /// Whether a batch is full, and need not wait for the interval.
    pub(crate) fn has_full_batch(&self) -> bool {
        self.full_batch.is_some_and(|full| self.pending() >= full)
    }

    /// From now on, `track` wakes the driver again. To be called before looking for a full batch.
    pub(crate) fn listen(&self) {
        self.nudged.swap(false, Ordering::AcqRel);
    }

    /// From now on, the next eviction begins a new spell. Returns how many there have been before.
    pub(crate) fn end_evicting(&self) -> u64 {
        self.evicting.store(false, Ordering::Release);
        self.counters.evicted.latest()
    }

    /// From now on, `track` drops.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn peek(&self, max: usize) -> Option<Batch<Event>> {
        let batch = self.queue.as_ref()?.peek_batch(max)?;
        self.lent.store(true, Ordering::Release);
        Some(batch)
    }

    /// Whether a batch is out, and neither released nor committed.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Acquire)
    }

    /// Puts a batch back, and books what was evicted meanwhile.
    pub(crate) fn release(&self, batch: Batch<Event>) {
        self.counters.evicted.add(batch.release().len());
        self.lent.store(false, Ordering::Release);
    }

    /// Takes a batch out for good, and books it.
    pub(crate) fn commit(&self, batch: Batch<Event>, delivered: usize, other: (&Counter, usize)) {
        // Before they leave: who sees that they have left may look for them in the books.
        self.counters.delivered.add(delivered);
        other.0.add(other.1);
        drop(batch.commit());
        self.lent.store(false, Ordering::Release);
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

    /// How many events have been queued, ever.
    pub(crate) fn queued(&self) -> u64 {
        self.queue.as_ref().map_or(0, EvictingQueue::pushed)
    }

    /// How many of those, from the first one on, have left.
    pub(crate) fn settled(&self) -> u64 {
        self.queue.as_ref().map_or(0, EvictingQueue::settled)
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counters.stats(self.pending());
        stats.panics += self.notices.panics();
        stats
    }

    /// Books a panic that was caught, and says so.
    pub(crate) fn panicked(&self) {
        self.counters.panics.add(1);
        self.notices.tell(|| Notice::Recovered);
    }

    /// Books a panic of the transport: an attempt that failed.
    pub(crate) fn transport_panicked(&self) -> TransportError {
        self.panicked();
        TransportError::network("the transport panicked")
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

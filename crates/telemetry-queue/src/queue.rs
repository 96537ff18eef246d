//! The queue: a ring for the order, cells for the items, one reader at a time.

use std::fmt;

use crate::{
    Batch,
    cells::{AT_HAND, Cells},
    ring::{Ring, Taken},
    sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Ordering, yield_now},
};

/// How many pushes can be under way at once. loom has three threads, and looks at every place.
const PUSHES_AT_ONCE: u32 = if cfg!(loom) { 4 } else { 256 };

/// A bounded FIFO that makes room by evicting its oldest item.
///
/// Any number of threads push; readers take turns. An item that was pushed is handed out exactly
/// once: by the push that evicts it, or by its batch. A clone is another handle to the same queue.
///
/// See the [crate documentation](crate) for the guarantees.
pub struct EvictingQueue<T> {
    shared: Arc<Shared<T>>,
}

pub(crate) struct Shared<T> {
    ring: Ring,
    cells: Cells<T>,
    /// Whether a batch is out, or being taken. Whoever sets it owns the fields below.
    reading: AtomicBool,
    /// The sequence number after the last one that was taken or passed over.
    taken: AtomicU64,
    /// The sequence number of the first item of the batch; `taken` when there is none.
    first: AtomicU64,
    /// The length of the batch.
    out: AtomicUsize,
}

impl<T> EvictingQueue<T> {
    /// The largest capacity.
    pub const MAX_CAPACITY: usize = 1 << 24;

    /// Makes a queue for `capacity` items, at least 1 and at most
    /// [`MAX_CAPACITY`](Self::MAX_CAPACITY); other numbers become the nearest of these.
    ///
    /// All memory is taken here: `size_of::<T>()` and about 24 bytes for each place and for 264
    /// more.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::with_spare(capacity, PUSHES_AT_ONCE)
    }

    fn with_spare(capacity: usize, spare: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "below 2^24")]
        let capacity = capacity.clamp(1, Self::MAX_CAPACITY) as u32;
        Self {
            shared: Arc::new(Shared {
                ring: Ring::new(capacity),
                cells: Cells::new(capacity + spare + AT_HAND as u32),
                reading: AtomicBool::new(false),
                taken: AtomicU64::new(0),
                first: AtomicU64::new(0),
                out: AtomicUsize::new(0),
            }),
        }
    }

    /// Appends `item`. Returns the oldest item if it had to leave for it.
    ///
    /// Returns `None` also when the oldest item is in a batch: then
    /// [`Batch::release`] hands it back. Allocates nothing and waits for nothing: not for a reader,
    /// and not for a thread that is preempted in the middle of a push. If 256 other pushes are under
    /// way at the same time, `item` itself may be handed back.
    #[must_use = "what is evicted is handed back, to be counted or dropped"]
    pub fn push(&self, item: T) -> Option<T> {
        let Shared { ring, cells, .. } = &*self.shared;
        match cells.put(item) {
            Ok(handle) => ring.push(&handle).and_then(|evicted| cells.take(evicted)),
            Err(item) => Some(item),
        }
    }

    /// Lends out up to `max` of the oldest items, in order.
    ///
    /// `None` if there are none, or if another batch is out.
    pub fn peek_batch(&self, max: usize) -> Option<Batch<T>> {
        if max == 0 || !self.shared.start_reading() {
            return None;
        }
        let items = self.shared.take(max);
        if items.is_empty() {
            self.shared.reading.store(false, Ordering::Release);
            return None;
        }
        Some(Batch::new(Arc::clone(&self.shared), items))
    }

    /// How many items there are, with those of a batch that is out.
    ///
    /// Exact while no other call is under way. Can exceed the capacity by the items of a batch that
    /// have been evicted and not yet handed back.
    #[must_use]
    pub fn len(&self) -> usize {
        let Shared { ring, taken, out, .. } = &*self.shared;
        let tail = ring.tail();
        let queued = tail.saturating_sub(taken.load(Ordering::Acquire)).min(ring.capacity());
        usize::try_from(queued).unwrap_or(usize::MAX) + out.load(Ordering::Acquire)
    }

    /// Whether there are no items, in the queue or in a batch that is out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items it can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        usize::try_from(self.shared.ring.capacity()).unwrap_or(usize::MAX)
    }

    /// How many items have been pushed, ever.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.shared.ring.tail()
    }

    /// How many of those, from the first one on, have left: by a commit or by eviction.
    ///
    /// With [`pushed`](Self::pushed) this tells when all that was there at some moment is gone. An
    /// item in a batch that is out has not left, and while a batch is taken out the answer may be
    /// too low, never too high.
    #[must_use]
    pub fn settled(&self) -> u64 {
        let Shared { ring, first, reading, .. } = &*self.shared;
        // In this order: whoever sees a push that evicted what a reader has taken sees the reader.
        let evicted = ring.tail().saturating_sub(ring.capacity());
        let is_out = reading.load(Ordering::Acquire);
        let first = first.load(Ordering::Acquire);
        if is_out { first } else { first.max(evicted) }
    }
}

impl<T> Shared<T> {
    fn start_reading(&self) -> bool {
        self.reading.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes up to `max` successive items. Called by the owner of `reading` alone.
    fn take(&self, max: usize) -> Vec<T> {
        let oldest = || self.ring.tail().saturating_sub(self.ring.capacity());
        let mut next = self.taken.load(Ordering::Relaxed).max(oldest());
        let waiting = self.ring.tail().saturating_sub(next).min(self.ring.capacity());
        let max = max.min(usize::try_from(waiting).unwrap_or(max));
        let mut items = Vec::with_capacity(max);
        while items.len() < max {
            match self.ring.take(next) {
                Taken::Item(handle) => {
                    items.extend(self.cells.take(handle));
                    next += 1;
                }
                // Pushes have overtaken the reader before it had anything.
                Taken::Evicted if items.is_empty() => next = oldest().max(next + 1),
                Taken::Evicted | Taken::NotPushed => break,
            }
        }
        self.out.store(items.len(), Ordering::Release);
        self.first.store(next - items.len() as u64, Ordering::Release);
        self.taken.store(next, Ordering::Release);
        items
    }

    /// Ends the loan of a batch: its items are gone.
    pub(crate) fn commit(&self) {
        self.first.store(self.taken.load(Ordering::Relaxed), Ordering::Release);
        self.out.store(0, Ordering::Release);
        self.reading.store(false, Ordering::Release);
    }

    /// Ends the loan of a batch: its items are where they were, or evicted.
    pub(crate) fn restore(&self, items: Vec<T>) -> Vec<T> {
        let first = self.first.load(Ordering::Relaxed);
        let mut evicted = Vec::new();
        for (s, item) in (first..).zip(items) {
            evicted.extend(self.restore_one(s, item));
        }
        self.taken.store(first, Ordering::Release);
        self.out.store(0, Ordering::Release);
        self.reading.store(false, Ordering::Release);
        evicted
    }

    fn restore_one(&self, s: u64, mut item: T) -> Option<T> {
        let handle = loop {
            match self.cells.put(item) {
                Ok(handle) => break handle,
                // Each place is in the hand of a push, and soon free.
                Err(back) => item = back,
            }
            yield_now();
        };
        if self.ring.restore(s, &handle) { None } else { self.cells.take(handle) }
    }
}

impl<T> Clone for EvictingQueue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for EvictingQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvictingQueue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn without_a_free_place_the_item_is_handed_back() {
        let queue = EvictingQueue::with_spare(2, 0);
        let hands: Vec<_> = (0..AT_HAND).map(|_| queue.shared.cells.put(0).unwrap()).collect();
        assert_eq!([queue.push(1), queue.push(2), queue.push(3)], [None, None, Some(3)]);
        assert_eq!(queue.peek_batch(9).unwrap().commit(), [1, 2]);
        assert_eq!(queue.push(4), None);
        assert_eq!(hands.len(), AT_HAND);
    }

    #[test]
    fn capacities_are_brought_into_range() {
        assert_eq!(EvictingQueue::<u8>::new(0).capacity(), 1);
        assert_eq!(EvictingQueue::<u8>::new(7).capacity(), 7);
    }
}

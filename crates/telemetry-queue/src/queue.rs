//! The queue.

use std::fmt;

use crate::{
    Batch,
    cells::{CACHE_SIZE, Cells},
    ring::{Ring, Taken},
    sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Ordering, yield_now},
};

/// Number of concurrent pushes for which there are cells. Few under loom, which models each cell and runs
/// three threads.
const MAX_CONCURRENT_PUSHES: u32 = if cfg!(loom) { 4 } else { 256 };

/// A bounded, lock-free FIFO queue that evicts its oldest item when it is full.
///
/// Any number of threads can push. One batch at a time can be read. A clone refers to the same queue.
///
/// See the [crate documentation](crate) for an example and the guarantees.
pub struct EvictingQueue<T> {
    shared: Arc<Shared<T>>,
}

pub(crate) struct Shared<T> {
    ring: Ring,
    cells: Cells<T>,
    /// Lock of the consumer, set while a batch is in flight. Its owner alone writes the fields below.
    is_reading: AtomicBool,
    /// Sequence number after the last item that was taken or found evicted.
    next: AtomicU64,
    /// Sequence number of the first item in flight, `next` if there is none.
    first_in_flight: AtomicU64,
    in_flight: AtomicUsize,
    /// Lets loom check that one thread at a time writes them.
    #[cfg(loom)]
    owner: crate::sync::Owned<()>,
}

impl<T> EvictingQueue<T> {
    /// The largest capacity.
    pub const MAX_CAPACITY: usize = 1 << 24;

    /// Creates a queue for `capacity` items, clamped to 1 and [`MAX_CAPACITY`](Self::MAX_CAPACITY).
    ///
    /// Allocates all memory: about `size_of::<T>() + 24` bytes for each of `capacity + 264` cells.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::with_spare_cells(capacity, MAX_CONCURRENT_PUSHES)
    }

    fn with_spare_cells(capacity: usize, spare: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "at most 2^24")]
        let capacity = capacity.clamp(1, Self::MAX_CAPACITY) as u32;
        Self {
            shared: Arc::new(Shared {
                ring: Ring::new(capacity),
                cells: Cells::new(capacity + spare + CACHE_SIZE as u32),
                is_reading: AtomicBool::new(false),
                next: AtomicU64::new(0),
                first_in_flight: AtomicU64::new(0),
                in_flight: AtomicUsize::new(0),
                #[cfg(loom)]
                owner: crate::sync::Owned::new(()),
            }),
        }
    }

    /// Appends `item`. Returns the oldest item if it was evicted.
    ///
    /// Returns `None` if the evicted item is in flight: [`Batch::release`] returns it. Returns `item`
    /// itself if 256 other pushes are in progress.
    #[must_use = "contains the evicted item"]
    pub fn push(&self, item: T) -> Option<T> {
        let Shared { ring, cells, .. } = &*self.shared;
        match cells.put(item) {
            Ok(handle) => ring.push(&handle).and_then(|evicted| cells.take(evicted)),
            Err(item) => Some(item),
        }
    }

    /// Takes up to `max` of the oldest items, in order. They are in flight until the batch is committed,
    /// released or dropped.
    ///
    /// Returns `None` if the queue is empty, if another batch is in flight, or if `max` is 0.
    pub fn peek_batch(&self, max: usize) -> Option<Batch<T>> {
        if max == 0 || !self.shared.start_reading() {
            return None;
        }
        let items = self.shared.take(max);
        if items.is_empty() {
            self.shared.end_reading();
            return None;
        }
        Some(Batch::new(Arc::clone(&self.shared), items))
    }

    /// The number of items, including those in flight.
    ///
    /// Approximate during concurrent calls. Exceeds the capacity by the number of items that were
    /// evicted in flight, until [`Batch::release`] returns them.
    #[must_use]
    pub fn len(&self) -> usize {
        let Shared { ring, next, in_flight, .. } = &*self.shared;
        let tail = ring.tail();
        // `next` first, and Acquire: an item that is not queued any more is seen in flight. Acquire,
        // both: a thread that sees an item gone sees what came before its commit.
        let queued = tail.saturating_sub(next.load(Ordering::Acquire)).min(ring.capacity());
        usize::try_from(queued).unwrap_or(usize::MAX) + in_flight.load(Ordering::Acquire)
    }

    /// Returns whether [`len`](Self::len) is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a batch was taken and not yet committed, released or dropped.
    #[must_use]
    pub fn has_batch_in_flight(&self) -> bool {
        // Relaxed: says nothing about other data.
        self.shared.is_reading.load(Ordering::Relaxed)
    }

    /// The largest number of items.
    #[must_use]
    pub fn capacity(&self) -> usize {
        usize::try_from(self.shared.ring.capacity()).unwrap_or(usize::MAX)
    }

    /// The number of items ever pushed, which is the sequence number of the next one, counted from 0.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.shared.ring.tail()
    }

    /// The sequence number below which all items have left the queue, by commit or eviction.
    ///
    /// To wait until the items queued at some point have been processed or evicted, remember
    /// [`pushed`](Self::pushed) and compare:
    ///
    /// ```
    /// # use telemetry_queue::EvictingQueue;
    /// let queue = EvictingQueue::new(8);
    /// assert_eq!(queue.push("a"), None);
    /// let target = queue.pushed();
    /// assert_eq!(queue.push("b"), None);
    ///
    /// let batch = queue.peek_batch(1).unwrap();
    /// assert!(queue.acknowledged() < target); // in flight
    /// batch.commit();
    /// assert!(queue.acknowledged() >= target);
    /// ```
    ///
    /// Items in flight have not left. During a concurrent call to [`peek_batch`](Self::peek_batch), the
    /// result may be too low, never too high.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        let Shared { ring, first_in_flight, is_reading, .. } = &*self.shared;
        // The tail is read before `is_reading`: a push that took the place of an item in flight came after
        // the consumer locked, so a thread that sees that push also sees the lock.
        let evicted = ring.tail().saturating_sub(ring.capacity());
        // Acquire, both: a thread that sees an item acknowledged sees what came before its commit.
        let is_reading = is_reading.load(Ordering::Acquire);
        let first = first_in_flight.load(Ordering::Acquire);
        if is_reading { first } else { first.max(evicted) }
    }
}

impl<T> Shared<T> {
    fn start_reading(&self) -> bool {
        self.is_reading.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn end_reading(&self) {
        #[cfg(loom)]
        self.owner.with(|()| ());
        self.is_reading.store(false, Ordering::Release);
    }

    /// Takes up to `max` consecutive items. The caller owns `is_reading`.
    fn take(&self, max: usize) -> Vec<T> {
        #[cfg(loom)]
        self.owner.with(|()| ());
        let oldest = || self.ring.tail().saturating_sub(self.ring.capacity());
        let mut next = self.next.load(Ordering::Relaxed).max(oldest());
        let queued = self.ring.tail().saturating_sub(next).min(self.ring.capacity());
        let max = max.min(usize::try_from(queued).unwrap_or(max));
        let mut items = Vec::with_capacity(max);
        while items.len() < max {
            match self.ring.take(next) {
                Taken::Item(handle) => {
                    items.extend(self.cells.take(handle));
                    next += 1;
                }
                // Pushes have overtaken the consumer: continue with the item that is the oldest now.
                Taken::Evicted if items.is_empty() => next = oldest().max(next + 1),
                // The batch ends here, since its items must be consecutive.
                Taken::Evicted | Taken::NotPushed => break,
            }
        }
        // Relaxed: passed on by `next`. Seen too early, it only makes `len` too high.
        self.in_flight.store(items.len(), Ordering::Relaxed);
        // Release, as in `commit`: it may be at the end of an earlier batch.
        self.first_in_flight.store(next - items.len() as u64, Ordering::Release);
        self.next.store(next, Ordering::Release);
        items
    }

    /// The sequence number of the first item in flight. The caller owns `is_reading`.
    pub(crate) fn first_in_flight(&self) -> u64 {
        // Relaxed: written by the owner.
        self.first_in_flight.load(Ordering::Relaxed)
    }

    /// Ends a batch. Its items are gone.
    pub(crate) fn commit(&self) {
        self.first_in_flight.store(self.next.load(Ordering::Relaxed), Ordering::Release);
        self.in_flight.store(0, Ordering::Release);
        self.end_reading();
    }

    /// Ends a batch. Puts its items back, and returns the evicted ones.
    pub(crate) fn restore(&self, items: Vec<T>) -> Vec<T> {
        let first = self.first_in_flight();
        let mut evicted = Vec::new();
        for (s, item) in (first..).zip(items) {
            evicted.extend(self.restore_one(s, item));
        }
        // Release, as in `commit`: `len` may read these and miss the commit of an earlier batch.
        self.next.store(first, Ordering::Release);
        self.in_flight.store(0, Ordering::Release);
        self.end_reading();
        evicted
    }

    fn restore_one(&self, s: u64, mut item: T) -> Option<T> {
        let handle = loop {
            match self.cells.put(item) {
                Ok(handle) => break handle,
                // All spare cells belong to pushes in progress, which free one each.
                Err(returned) => item = returned,
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
    fn push_without_a_free_cell_returns_its_item() {
        let queue = EvictingQueue::with_spare_cells(2, 0);
        let held: Vec<_> = (0..CACHE_SIZE).map(|_| queue.shared.cells.put(0).unwrap()).collect();
        assert_eq!([queue.push(1), queue.push(2), queue.push(3)], [None, None, Some(3)]);
        assert_eq!(queue.peek_batch(9).unwrap().commit(), [1, 2]);
        assert_eq!(queue.push(4), None);
        assert_eq!(held.len(), CACHE_SIZE);
    }

    #[test]
    fn capacity_is_at_least_one() {
        for (capacity, expected) in [(0, 1), (7, 7)] {
            assert_eq!(EvictingQueue::<u8>::new(capacity).capacity(), expected);
        }
    }
}

//! The bounded queues, each with its push that evicts the oldest item.

use std::{collections::VecDeque, sync::PoisonError};

use concurrent_queue::ConcurrentQueue;
use crossbeam_queue::ArrayQueue;
use telemetry_queue::EvictingQueue;

/// A queued item: a pointer to a cache line.
pub(super) type Item = Box<[u64; 8]>;

pub(super) trait Queue: Sync {
    fn with_capacity(places: usize) -> Self;

    /// Appends an item, and returns the oldest if it was evicted.
    fn push(&self, item: Item) -> Option<Item>;

    /// Removes up to `max` of the oldest items.
    fn take(&self, max: usize) -> Vec<Item>;
}

impl Queue for EvictingQueue<Item> {
    fn with_capacity(places: usize) -> Self {
        Self::new(places)
    }

    fn push(&self, item: Item) -> Option<Item> {
        Self::push(self, item)
    }

    fn take(&self, max: usize) -> Vec<Item> {
        self.peek_batch(max).map(|batch| batch.commit()).unwrap_or_default()
    }
}

impl Queue for ArrayQueue<Item> {
    fn with_capacity(places: usize) -> Self {
        Self::new(places)
    }

    fn push(&self, item: Item) -> Option<Item> {
        self.force_push(item)
    }

    fn take(&self, max: usize) -> Vec<Item> {
        (0..max).map_while(|_| self.pop()).collect()
    }
}

impl Queue for ConcurrentQueue<Item> {
    fn with_capacity(places: usize) -> Self {
        Self::bounded(places)
    }

    fn push(&self, item: Item) -> Option<Item> {
        // Fails only on a closed queue.
        self.force_push(item).unwrap_or_else(|refused| Some(refused.0))
    }

    fn take(&self, max: usize) -> Vec<Item> {
        (0..max).map_while(|_| self.pop().ok()).collect()
    }
}

/// A deque behind a lock, and its capacity. An evicted item is freed after the lock is released.
pub(super) struct Locked<L>(L, usize);

macro_rules! impl_queue {
    ($lock:ty, $mutex:ident => $guard:expr) => {
        impl Queue for Locked<$lock> {
            fn with_capacity(places: usize) -> Self {
                Self(<$lock>::new(VecDeque::with_capacity(places)), places)
            }

            fn push(&self, item: Item) -> Option<Item> {
                let $mutex = &self.0;
                let mut items = $guard;
                let evicted = if items.len() < self.1 { None } else { items.pop_front() };
                items.push_back(item);
                evicted
            }

            fn take(&self, max: usize) -> Vec<Item> {
                let $mutex = &self.0;
                let mut items = $guard;
                let count = max.min(items.len());
                items.drain(..count).collect()
            }
        }
    };
}

pub(super) type Std = std::sync::Mutex<VecDeque<Item>>;
impl_queue!(Std, mutex => mutex.lock().unwrap_or_else(PoisonError::into_inner));

pub(super) type ParkingLot = parking_lot::Mutex<VecDeque<Item>>;
impl_queue!(ParkingLot, mutex => mutex.lock());

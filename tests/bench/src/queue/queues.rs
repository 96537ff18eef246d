//! The queues, each with the push that makes room.

use std::{collections::VecDeque, sync::PoisonError};

use concurrent_queue::ConcurrentQueue;
use crossbeam_queue::ArrayQueue;
use telemetry_queue::EvictingQueue;

/// What is queued: a pointer to as much as a cache line.
pub(super) type Item = Box<[u64; 8]>;

/// A bounded queue.
pub(super) trait Queue: Sync {
    fn with_capacity(places: usize) -> Self;

    /// Appends an item, and returns the oldest if it had to leave for it.
    fn push(&self, item: Item) -> Option<Item>;

    /// Takes up to that many of the oldest items out.
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
        // An error says that the queue is closed, which nobody does.
        self.force_push(item).unwrap_or_else(|refused| Some(refused.0))
    }

    fn take(&self, max: usize) -> Vec<Item> {
        (0..max).map_while(|_| self.pop().ok()).collect()
    }
}

/// A deque behind a lock. What it evicts is freed after the lock is.
pub(super) struct Deque<L> {
    items: L,
    places: usize,
}

pub(super) type Std = std::sync::Mutex<VecDeque<Item>>;
pub(super) type ParkingLot = parking_lot::Mutex<VecDeque<Item>>;

pub(super) trait Lock: Sync {
    fn new(items: VecDeque<Item>) -> Self;
    fn with<T>(&self, access: impl FnOnce(&mut VecDeque<Item>) -> T) -> T;
}

impl<L: Lock> Queue for Deque<L> {
    fn with_capacity(places: usize) -> Self {
        Self { items: L::new(VecDeque::with_capacity(places)), places }
    }

    fn push(&self, item: Item) -> Option<Item> {
        self.items.with(|items| {
            let evicted = if items.len() < self.places { None } else { items.pop_front() };
            items.push_back(item);
            evicted
        })
    }

    fn take(&self, max: usize) -> Vec<Item> {
        self.items.with(|items| items.drain(..max.min(items.len())).collect())
    }
}

impl Lock for Std {
    fn new(items: VecDeque<Item>) -> Self {
        Self::new(items)
    }

    fn with<T>(&self, access: impl FnOnce(&mut VecDeque<Item>) -> T) -> T {
        access(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lock for ParkingLot {
    fn new(items: VecDeque<Item>) -> Self {
        Self::new(items)
    }

    fn with<T>(&self, access: impl FnOnce(&mut VecDeque<Item>) -> T) -> T {
        access(&mut self.lock())
    }
}

//! Batches of items.

use std::{fmt, mem, ops::Deref};

use crate::{queue::Shared, sync::Arc};

/// The oldest items of a queue, in order. Never empty.
///
/// The items are in flight: they count towards the capacity, and are the next to be evicted by pushes.
/// [`commit`](Self::commit) removes them from the queue. [`release`](Self::release) returns them to
/// it, as does dropping the batch.
#[must_use = "dropping a batch returns its items to the queue"]
pub struct Batch<T> {
    shared: Arc<Shared<T>>,
    items: Vec<T>,
}

impl<T> Batch<T> {
    pub(crate) const fn new(shared: Arc<Shared<T>>, items: Vec<T>) -> Self {
        Self { shared, items }
    }

    /// The sequence number of the first item, as counted by
    /// [`EvictingQueue::pushed`](crate::EvictingQueue::pushed).
    #[must_use]
    pub fn first(&self) -> u64 {
        self.shared.first_in_flight()
    }

    /// Removes the items from the queue and returns them.
    pub fn commit(mut self) -> Vec<T> {
        let items = mem::take(&mut self.items);
        self.shared.commit();
        items
    }

    /// Returns the items to their positions in the queue, except for those evicted while the batch was
    /// in flight. Returns the evicted ones, in order.
    ///
    /// May wait for concurrent pushes to complete.
    pub fn release(mut self) -> Vec<T> {
        self.shared.restore(mem::take(&mut self.items))
    }
}

impl<T> Deref for Batch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        // Empty after `commit` and `release`, which end the batch.
        if !self.items.is_empty() {
            self.shared.restore(mem::take(&mut self.items));
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.items).finish()
    }
}

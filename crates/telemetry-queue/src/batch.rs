//! What a reader has in hand.

use std::{fmt, mem, ops::Deref};

use crate::{queue::Shared, sync::Arc};

/// The oldest items of a queue, in order, on loan: never empty.
///
/// Its items count in the bound of the queue and are the first that pushes evict. Then
///
/// - [`commit`](Self::commit) makes them leave the queue for good, or
/// - [`release`](Self::release) puts them back to where they were, and returns those that have been
///   evicted meanwhile. Dropping the batch does the same and drops those.
#[must_use = "a batch that is dropped goes back into the queue"]
pub struct Batch<T> {
    shared: Arc<Shared<T>>,
    items: Vec<T>,
}

impl<T> Batch<T> {
    pub(crate) const fn new(shared: Arc<Shared<T>>, items: Vec<T>) -> Self {
        Self { shared, items }
    }

    /// Removes the items from the queue and returns them.
    pub fn commit(mut self) -> Vec<T> {
        let items = mem::take(&mut self.items);
        self.shared.commit();
        items
    }

    /// Puts the items back; returns those that have been evicted meanwhile, in order.
    ///
    /// May wait for pushes that are under way; never the other way round.
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

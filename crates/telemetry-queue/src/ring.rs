//! Order of the items: a ring of words.
//!
//! Each push has a sequence number `s` and lands in slot `s % capacity`. A slot is one word: a
//! sequence number and the handle of a cell, if any. It goes through these states:
//!
//! ```text
//! vacant(s) --push--> full(s) --push s + capacity, evicts s--> full(s + capacity)
//!                      |  ^
//!            take      v  |  restore
//!                  vacant(s + capacity) --push s + capacity--> full(s + capacity)
//! ```
//!
//! Each transition is a single compare-and-swap, so a thread that is preempted between two of them
//! blocks no other. Bound and order of eviction follow: a push can only replace the item `capacity`
//! pushes before it, which is the oldest.
//!
//! Words hold the lower half of the sequence number. A thread would mistake one for another only if
//! exactly a multiple of 2^32 pushes happened between its load and its compare-and-swap.

use crate::{
    cells::{Handle, high, low, pack},
    sync::{AtomicU64, CachePadded, Ordering},
};

#[derive(Debug)]
pub(crate) struct Ring {
    slots: Box<[AtomicU64]>,
    /// Number of pushes, as a hint: it may lag behind the slots, never lead. The pusher that fills a
    /// slot advances it, or another thread that finds the slot filled.
    tail: CachePadded<AtomicU64>,
}

/// Result of [`Ring::take`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Item(Handle),
    /// A later push has replaced the item.
    Evicted,
    /// No item with this sequence number has been pushed yet.
    NotPushed,
}

impl Ring {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            slots: (0..capacity).map(|s| AtomicU64::new(vacant(s.into()))).collect(),
            tail: CachePadded(AtomicU64::new(0)),
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Number of pushes. Includes at least the completed ones.
    pub(crate) fn tail(&self) -> u64 {
        self.tail.0.load(Ordering::Acquire)
    }

    /// Appends an item, and returns the evicted one.
    pub(crate) fn push(&self, handle: &Handle) -> Option<Handle> {
        let mut tail = self.tail();
        loop {
            let slot = self.slot(tail);
            // Acquire, for `advance`: a thread that sees the tail beyond a push sees what came before
            // that push, also if a third thread has advanced the tail.
            let current = slot.load(Ordering::Acquire);
            let evicted = item_of(current, tail.wrapping_sub(self.capacity()));
            if evicted.is_none() && current != vacant(tail) {
                // The slot has been filled by another push: the tail was outdated.
                tail = self.advance(tail);
            } else if swap(slot, current, full(tail, handle)) {
                self.advance(tail);
                return evicted;
            }
        }
    }

    /// Advances the tail past a filled slot. Returns the new tail.
    fn advance(&self, tail: u64) -> u64 {
        // Release: passes on the push. Acquire: a slot is not older than the tail that leads to it, or it
        // would seem to be filled. Not on success: `tail` was loaded so.
        match self.tail.0.compare_exchange(tail, tail + 1, Ordering::Release, Ordering::Acquire) {
            Ok(_) => tail + 1,
            Err(moved) => moved,
        }
    }

    /// Takes the item with sequence number `s`, and keeps its slot for [`restore`](Self::restore).
    pub(crate) fn take(&self, s: u64) -> Taken {
        let slot = self.slot(s);
        let next = s + self.capacity();
        loop {
            // Relaxed: the caller has seen the tail beyond `s`, and the swap acquires the item.
            let current = slot.load(Ordering::Relaxed);
            let Some(handle) = item_of(current, s) else {
                let before = s.wrapping_sub(self.capacity());
                let pushed = current != vacant(s) && item_of(current, before).is_none();
                return if pushed { Taken::Evicted } else { Taken::NotPushed };
            };
            if swap(slot, current, vacant(next)) {
                return Taken::Item(handle);
            }
        }
    }

    /// Puts back a taken item. Returns `false` if a later push has taken its slot: it is evicted.
    pub(crate) fn restore(&self, s: u64, handle: &Handle) -> bool {
        swap(self.slot(s), vacant(s + self.capacity()), full(s, handle))
    }

    fn slot(&self, s: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "less than the number of slots")]
        &self.slots[(s % self.capacity()) as usize]
    }
}

const fn vacant(s: u64) -> u64 {
    pack(sequence(s), 0)
}

const fn full(s: u64, handle: &Handle) -> u64 {
    pack(sequence(s), handle.word())
}

fn swap(slot: &AtomicU64, current: u64, new: u64) -> bool {
    // Release: passes on the new item. Acquire: receives the one that it replaces.
    slot.compare_exchange(current, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

const fn sequence(s: u64) -> u32 {
    low(s)
}

/// The handle in a word with sequence number `s`.
fn item_of(word: u64, s: u64) -> Option<Handle> {
    if high(word) == sequence(s) { Handle::from_word(low(word)) } else { None }
}

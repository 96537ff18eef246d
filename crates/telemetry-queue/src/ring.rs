//! The order of the queue: a ring of words, one for each place in it.
//!
//! Every push has a sequence number `s`, given by the tail, and lands in slot `s % capacity`. A
//! slot goes through these states, each a single word, so every step is one compare-and-swap and
//! whoever is preempted between two steps holds up nobody:
//!
//! ```text
//! vacant(s) --push--> full(s) --push s + capacity, which evicts s--> full(s + capacity)
//!                      |  ^
//!            take      v  |  restore
//!                  vacant(s + capacity) --push s + capacity--> full(s + capacity)
//! ```
//!
//! The bound and the order of eviction need no bookkeeping: the only item that a push can meet is
//! the one `capacity` pushes before it, which is the oldest. The tail is a hint: it moves after its
//! slot was filled, by whoever sees that first. Words carry the lower half of the sequence number;
//! mistaking one for another would take a thread that sleeps between reading and swapping a word
//! while exactly a multiple of 2^32 pushes pass.

use crate::{
    cells::{Handle, high, low, pack},
    sync::{Apart, AtomicU64, Ordering},
};

#[derive(Debug)]
pub(crate) struct Ring {
    slots: Box<[AtomicU64]>,
    tail: Apart<AtomicU64>,
}

/// What a reader found at a sequence number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Item(Handle),
    /// A later push has its place.
    Evicted,
    /// It was not pushed yet.
    NotPushed,
}

impl Ring {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            slots: (0..capacity).map(|s| AtomicU64::new(vacant(s.into()))).collect(),
            tail: Apart(AtomicU64::new(0)),
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// How many pushes there have been. At least those that have returned.
    pub(crate) fn tail(&self) -> u64 {
        self.tail.0.load(Ordering::Acquire)
    }

    /// Appends, and returns what had to leave for it.
    pub(crate) fn push(&self, handle: &Handle) -> Option<Handle> {
        let mut tail = self.tail();
        loop {
            let slot = self.slot(tail);
            let current = slot.load(Ordering::Acquire);
            let evicted = item_of(current, tail.wrapping_sub(self.capacity()));
            if evicted.is_none() && current != vacant(tail) {
                // Another push filled this slot, or the tail has moved on since.
                tail = self.advance(tail);
            } else if swap(slot, current, full(tail, handle)) {
                self.advance(tail);
                return evicted;
            }
        }
    }

    /// Moves the tail past a slot that has been filled; returns where it is then.
    fn advance(&self, tail: u64) -> u64 {
        match self.tail.0.compare_exchange(tail, tail + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => tail + 1,
            Err(moved) => moved,
        }
    }

    /// Takes the item with that number out. Its slot stays its own until a push evicts it.
    pub(crate) fn take(&self, s: u64) -> Taken {
        let slot = self.slot(s);
        let next = s + self.capacity();
        loop {
            let current = slot.load(Ordering::Acquire);
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

    /// Puts back what was taken; false if it has been evicted meanwhile.
    pub(crate) fn restore(&self, s: u64, handle: &Handle) -> bool {
        swap(self.slot(s), vacant(s + self.capacity()), full(s, handle))
    }

    fn slot(&self, s: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "below the number of slots")]
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
    slot.compare_exchange(current, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

const fn sequence(s: u64) -> u32 {
    low(s)
}

/// The item with the number `s`, if that is what the slot has.
fn item_of(word: u64, s: u64) -> Option<Handle> {
    if high(word) == sequence(s) { Handle::from_word(low(word)) } else { None }
}

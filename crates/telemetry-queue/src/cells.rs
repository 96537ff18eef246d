//! Places for items, owned by whoever holds their handle.
//!
//! A place is filled before its handle is published and emptied after its handle was won, so the
//! queue itself moves single words only. Free places form a Treiber stack; its head carries a tag
//! that changes with every acquisition, so that a place which was taken and given back in between
//! is not mistaken for untouched.
//!
//! On a full queue each push frees one place and fills one, so each thread keeps the last one that
//! it freed at hand, and the stack is left alone.

use std::fmt;

use crate::sync::{Apart, AtomicU32, AtomicU64, Mutex, Ordering, lock_owned};

/// How many places can be at hand, and are then not on the stack.
pub(crate) const AT_HAND: usize = if cfg!(loom) { 1 } else { 8 };

/// The exclusive right to a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Handle(u32);

impl Handle {
    /// The handle as a number above 0.
    pub(crate) const fn word(&self) -> u32 {
        self.0 + 1
    }

    /// Inverse of [`word`](Self::word); 0 is no handle.
    pub(crate) const fn from_word(word: u32) -> Option<Self> {
        match word {
            0 => None,
            word => Some(Self(word - 1)),
        }
    }
}

pub(crate) struct Cells<T> {
    cells: Box<[Cell<T>]>,
    /// Tag in the upper half, the word of the topmost free handle in the lower; 0 when none is.
    free: Apart<AtomicU64>,
    /// The word of the handle that the threads with this number have at hand; 0 when none is.
    at_hand: [Apart<AtomicU32>; AT_HAND],
}

struct Cell<T> {
    item: Mutex<Option<T>>,
    /// The word of the free handle below this one.
    next: AtomicU32,
}

impl<T> Cells<T> {
    pub(crate) fn new(count: u32) -> Self {
        let cell = |below| Cell { item: Mutex::new(None), next: AtomicU32::new(below) };
        Self {
            cells: (0..count).map(cell).collect(),
            free: Apart(AtomicU64::new(count.into())),
            at_hand: std::array::from_fn(|_| Apart(AtomicU32::new(0))),
        }
    }

    /// Puts `item` into a free place; hands it back if there is none, but for those at hand for
    /// other threads, perhaps.
    pub(crate) fn put(&self, item: T) -> Result<Handle, T> {
        let at_hand = &self.at_hand[thread_number()].0;
        let Some(handle) = grab(at_hand).or_else(|| self.pop()).or_else(|| self.grab_any()) else {
            return Err(item);
        };
        *lock_owned(&self.cell(&handle).item) = Some(item);
        Ok(handle)
    }

    /// Takes the item out of its place and frees the place.
    pub(crate) fn take(&self, handle: Handle) -> Option<T> {
        let item = lock_owned(&self.cell(&handle).item).take();
        let at_hand = &self.at_hand[thread_number()].0;
        if let Some(displaced) = Handle::from_word(at_hand.swap(handle.word(), Ordering::AcqRel)) {
            self.push(displaced);
        }
        item
    }

    fn grab_any(&self) -> Option<Handle> {
        self.at_hand.iter().find_map(|at_hand| grab(&at_hand.0))
    }

    fn pop(&self) -> Option<Handle> {
        let mut head = self.free.0.load(Ordering::Acquire);
        loop {
            let handle = Handle::from_word(low(head))?;
            let below = self.cell(&handle).next.load(Ordering::Relaxed);
            let rest = pack(high(head).wrapping_add(1), below);
            match self.swap_head(head, rest) {
                Ok(_) => return Some(handle),
                Err(changed) => head = changed,
            }
        }
    }

    fn push(&self, handle: Handle) {
        let mut head = self.free.0.load(Ordering::Acquire);
        loop {
            self.cell(&handle).next.store(low(head), Ordering::Relaxed);
            match self.swap_head(head, pack(high(head), handle.word())) {
                Ok(_) => return,
                Err(changed) => head = changed,
            }
        }
    }

    fn swap_head(&self, head: u64, new: u64) -> Result<u64, u64> {
        self.free.0.compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Acquire)
    }

    fn cell(&self, handle: &Handle) -> &Cell<T> {
        &self.cells[handle.0 as usize]
    }
}

fn grab(at_hand: &AtomicU32) -> Option<Handle> {
    // Most often there is one for the thread itself, and none for a stranger: look before writing.
    if at_hand.load(Ordering::Relaxed) == 0 {
        return None;
    }
    Handle::from_word(at_hand.swap(0, Ordering::AcqRel))
}

/// Which place at hand is the calling thread's; several threads may have the same.
#[cfg(not(loom))]
fn thread_number() -> usize {
    use std::sync::atomic::AtomicUsize;

    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed) % AT_HAND;
    }
    NUMBER.with(|number| *number)
}

#[cfg(loom)]
const fn thread_number() -> usize {
    0
}

impl<T> fmt::Debug for Cells<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("count", &self.cells.len()).finish_non_exhaustive()
    }
}

pub(crate) const fn pack(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

#[expect(clippy::cast_possible_truncation, reason = "the half is meant")]
pub(crate) const fn low(word: u64) -> u32 {
    word as u32
}

pub(crate) const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn places_are_reused() {
        let cells = Cells::new(2);
        let (a, b) = (cells.put('a').unwrap(), cells.put('b').unwrap());
        assert_eq!(cells.put('c'), Err('c'));
        assert_eq!(cells.take(a), Some('a'));
        let c = std::thread::scope(|scope| scope.spawn(|| cells.put('c').unwrap()).join().unwrap());
        assert_eq!(cells.take(b), Some('b'));
        assert_eq!(cells.take(c), Some('c'));
    }
}

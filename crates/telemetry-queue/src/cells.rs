//! Places for items, owned by whoever holds their handle.
//!
//! A place is filled before its handle is published and emptied after its handle was won, so the
//! queue itself moves single words only. Free places form a Treiber stack; its head carries a tag
//! that changes with every acquisition, so that a place which was taken and given back in between
//! is not mistaken for untouched.

use std::fmt;

use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering, lock_owned};

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
    free: AtomicU64,
}

struct Cell<T> {
    item: Mutex<Option<T>>,
    /// The word of the free handle below this one.
    next: AtomicU32,
}

impl<T> Cells<T> {
    pub(crate) fn new(count: u32) -> Self {
        let cell = |below| Cell { item: Mutex::new(None), next: AtomicU32::new(below) };
        Self { cells: (0..count).map(cell).collect(), free: AtomicU64::new(count.into()) }
    }

    /// Puts `item` into a free place; hands it back if there is none.
    pub(crate) fn put(&self, item: T) -> Result<Handle, T> {
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            let Some(handle) = Handle::from_word(low(head)) else { return Err(item) };
            let below = self.cell(&handle).next.load(Ordering::Relaxed);
            let rest = pack(high(head).wrapping_add(1), below);
            match self.free.compare_exchange_weak(head, rest, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    *lock_owned(&self.cell(&handle).item) = Some(item);
                    return Ok(handle);
                }
                Err(changed) => head = changed,
            }
        }
    }

    /// Takes the item out of its place and frees the place.
    pub(crate) fn take(&self, handle: Handle) -> Option<T> {
        let cell = self.cell(&handle);
        let item = lock_owned(&cell.item).take();
        let word = handle.word();
        let mut head = self.free.load(Ordering::Relaxed);
        loop {
            cell.next.store(low(head), Ordering::Relaxed);
            match self.free.compare_exchange_weak(
                head,
                pack(high(head), word),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return item,
                Err(changed) => head = changed,
            }
        }
    }

    fn cell(&self, handle: &Handle) -> &Cell<T> {
        &self.cells[handle.0 as usize]
    }
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
        let c = cells.put('c').unwrap();
        assert_eq!(cells.take(b), Some('b'));
        assert_eq!(cells.take(c), Some('c'));
    }
}

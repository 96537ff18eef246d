//! Storage of the items.
//!
//! The ring moves single words: handles of cells. A cell is filled before its handle is published in the
//! ring, and emptied after its handle was taken from there, so only the owner of the handle accesses it.
//!
//! Free cells form a Treiber stack. On a full queue each push frees one cell and fills one, so
//! each thread caches the last cell it freed, without touching the stack.

use std::fmt;

use crate::sync::{AtomicU32, AtomicU64, CachePadded, Ordering, Owned};

/// Number of cached free cells. They are not on the stack.
pub(crate) const CACHE_SIZE: usize = if cfg!(loom) { 1 } else { 8 };

/// Exclusive access to a cell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Handle(u32);

impl Handle {
    /// Encodes the handle as a number above 0.
    pub(crate) const fn word(&self) -> u32 {
        self.0 + 1
    }

    /// Inverse of [`word`](Self::word). 0 is no handle.
    pub(crate) const fn from_word(word: u32) -> Option<Self> {
        match word {
            0 => None,
            word => Some(Self(word - 1)),
        }
    }
}

pub(crate) struct Cells<T> {
    cells: Box<[Cell<T>]>,
    /// Top of the stack: a tag in the upper half, the word of a handle or 0 in the lower half.
    //
    // The tag prevents ABA: it changes with each `pop`, so a cell that was popped and pushed again in
    // between is not mistaken for an unchanged top, whose `next` would be outdated.
    free: CachePadded<AtomicU64>,
    /// Words of the cached handles, or 0. Each thread uses one of them.
    cache: [CachePadded<AtomicU32>; CACHE_SIZE],
}

struct Cell<T> {
    item: Owned<Option<T>>,
    /// Word of the next free cell of the stack.
    next: AtomicU32,
}

impl<T> Cells<T> {
    pub(crate) fn new(count: u32) -> Self {
        let cell = |next| Cell { item: Owned::new(None), next: AtomicU32::new(next) };
        Self {
            cells: (0..count).map(cell).collect(),
            free: CachePadded(AtomicU64::new(count.into())),
            cache: std::array::from_fn(|_| CachePadded(AtomicU32::new(0))),
        }
    }

    /// Moves `item` to a free cell. Returns it if there is none.
    pub(crate) fn put(&self, item: T) -> Result<Handle, T> {
        let cached = || take_cached(&self.cache[cache_index()].0);
        let Some(handle) = cached().or_else(|| self.pop()).or_else(|| self.steal()) else {
            return Err(item);
        };
        self.cell(&handle).item.with(|content| *content = Some(item));
        Ok(handle)
    }

    /// Moves the item out of its cell, and frees the cell.
    pub(crate) fn take(&self, handle: Handle) -> Option<T> {
        let item = self.cell(&handle).item.with(Option::take);
        let cached = &self.cache[cache_index()].0;
        // Release: passes on the freed cell. Acquire: receives the displaced one.
        if let Some(displaced) = Handle::from_word(cached.swap(handle.word(), Ordering::AcqRel)) {
            self.push(displaced);
        }
        item
    }

    /// Takes a cell cached by any thread.
    fn steal(&self) -> Option<Handle> {
        self.cache.iter().find_map(|cached| take_cached(&cached.0))
    }

    fn pop(&self) -> Option<Handle> {
        // Acquire: receives the cell and its `next`.
        let mut head = self.free.0.load(Ordering::Acquire);
        loop {
            let handle = Handle::from_word(low(head))?;
            let next = self.cell(&handle).next.load(Ordering::Relaxed);
            match self.swap_head(head, pack(high(head).wrapping_add(1), next)) {
                Ok(_) => return Some(handle),
                Err(changed) => head = changed,
            }
        }
    }

    fn push(&self, handle: Handle) {
        // Relaxed: the cell on top is not accessed.
        let mut head = self.free.0.load(Ordering::Relaxed);
        loop {
            self.cell(&handle).next.store(low(head), Ordering::Relaxed);
            match self.swap_head(head, pack(high(head), handle.word())) {
                Ok(_) => return,
                Err(changed) => head = changed,
            }
        }
    }

    fn swap_head(&self, head: u64, new: u64) -> Result<u64, u64> {
        // Release: a push passes on its cell, with `next`. Not Acquire: `pop` has loaded `head` so, and
        // no other push can have written the same word in between.
        self.free.0.compare_exchange_weak(head, new, Ordering::Release, Ordering::Acquire)
    }

    fn cell(&self, handle: &Handle) -> &Cell<T> {
        &self.cells[handle.0 as usize]
    }
}

fn take_cached(cached: &AtomicU32) -> Option<Handle> {
    // Read before writing, to leave the cache line shared if the slot is empty. Relaxed: only a hint.
    if cached.load(Ordering::Relaxed) == 0 {
        return None;
    }
    // Acquire: receives the cell. Not Release: 0 passes on nothing.
    Handle::from_word(cached.swap(0, Ordering::Acquire))
}

/// Index of the calling thread's cached cell. Threads may share one.
#[cfg(not(loom))]
fn cache_index() -> usize {
    use std::sync::atomic::AtomicUsize;

    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static INDEX: usize = THREADS.fetch_add(1, Ordering::Relaxed) % CACHE_SIZE;
    }
    INDEX.with(|index| *index)
}

#[cfg(loom)]
const fn cache_index() -> usize {
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

#[expect(clippy::cast_possible_truncation, reason = "returns the lower half")]
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
    fn freed_cells_are_reused() {
        let cells = Cells::new(2);
        let (a, b) = (cells.put('a').unwrap(), cells.put('b').unwrap());
        assert_eq!(cells.put('c'), Err('c'));
        assert_eq!(cells.take(a), Some('a'));
        let c = std::thread::scope(|scope| scope.spawn(|| cells.put('c').unwrap()).join().unwrap());
        assert_eq!(cells.take(b), Some('b'));
        assert_eq!(cells.take(c), Some('c'));
    }
}

#[cfg(all(test, loom))]
mod interleavings {
    use loom::{sync::Arc, thread};

    use super::*;

    /// In each round, fills up to that many cells and frees them in the same order.
    fn use_cells(cells: &Cells<u32>, rounds: &[u32]) {
        for &count in rounds {
            let handles: Vec<_> = (0..count).filter_map(|item| cells.put(item).ok()).collect();
            for (item, handle) in (0..).zip(handles) {
                assert_eq!(cells.take(handle), Some(item), "a cell has two owners");
            }
        }
    }

    #[test]
    fn each_cell_has_one_owner() {
        const ROUNDS: [[&[u32]; 2]; 2] = [[&[1, 1], &[1, 1]], [&[2], &[2]]];
        for [ours, theirs] in ROUNDS {
            loom::model(move || {
                let cells = Arc::new(Cells::new(3));
                let other = {
                    let cells = Arc::clone(&cells);
                    thread::spawn(move || use_cells(&cells, theirs))
                };
                use_cells(&cells, ours);
                other.join().unwrap();
                assert_eq!((0..4).filter_map(|item| cells.put(item).ok()).count(), 3);
            });
        }
    }
}

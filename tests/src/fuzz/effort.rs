//! What reading may cost.

use std::cell::Cell;

/// The most bytes that reading may allocate for each byte that it reads, one after the other.
///
/// The dearest byte is that of an item in a long list of wrong ones: a message is made for each.
const IN_ALL: u64 = 256;

/// The same, at one time.
const AT_ONCE: u64 = 64;

/// What it may allocate however little there is to read.
const BASE: u64 = 64 * 1024;

/// The same for each part that is read on its own: all its keys may be missing.
const PART: u64 = 16 * 1024;

/// Returns what `read` makes of `length` bytes, which have at most so many parts.
///
/// # Panics
///
/// It allocates out of proportion to them.
pub(super) fn in_proportion<T>(length: usize, parts: usize, read: impl FnOnce() -> T) -> T {
    let (read, result) = (Cell::new(Some(read)), Cell::new(None));
    let info = allocation_counter::measure(|| result.set(read.take().map(|read| read())));
    let (length, base) = (length as u64, BASE + PART * parts as u64);
    let (in_all, at_once) = (info.bytes_total, info.bytes_max);
    assert!(in_all <= IN_ALL * length + base, "{in_all} bytes allocated for {length}");
    assert!(at_once <= AT_ONCE * length + base, "{at_once} bytes held for {length}");
    result.take().expect("it was read")
}

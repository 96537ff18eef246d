//! Synchronization primitives of the standard library, or of loom with `--cfg loom`.

#[cfg(loom)]
pub(crate) use loom::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread::yield_now,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread::yield_now,
};

/// Locks an uncontended mutex.
pub(crate) fn lock_uncontended<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Under loom, fail if the mutex is contended in any interleaving.
    #[cfg(loom)]
    return mutex.try_lock().expect("a cell has two owners");
    // The state cannot be inconsistent: no code that can panic runs under the lock.
    #[cfg(not(loom))]
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Aligns a value to 128 bytes, to keep it off the cache lines of its neighbors.
//
// Two lines of 64 bytes, since recent x86-64 processors prefetch pairs of lines.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

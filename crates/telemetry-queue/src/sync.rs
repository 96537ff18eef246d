//! Synchronization primitives of the standard library, or of loom with `--cfg loom`.

use std::sync::{Mutex, PoisonError};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread::yield_now,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread::yield_now,
};

/// A value that one thread at a time owns. Atomics pass the ownership on.
//
// The mutex only avoids `unsafe`: it is never contended, and no ordering relies on it. loom does not
// see it, and fails if an access does not happen before the next through the atomics alone.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    value: Mutex<T>,
    #[cfg(loom)]
    access: Mutex<loom::cell::UnsafeCell<()>>,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            #[cfg(loom)]
            access: Mutex::new(loom::cell::UnsafeCell::new(())),
        }
    }

    /// Calls `access` with the value. The caller is the owner.
    pub(crate) fn with<R>(&self, access: impl FnOnce(&mut T) -> R) -> R {
        #[cfg(loom)]
        self.access.try_lock().expect("a value has two owners").with_mut(|_| ());
        // The state cannot be inconsistent: no code that can panic runs under the lock.
        access(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Aligns a value to 128 bytes, to keep it off the cache lines of its neighbors.
//
// Two lines of 64 bytes, since recent x86-64 processors prefetch pairs of lines.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

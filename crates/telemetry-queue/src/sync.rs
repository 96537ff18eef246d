//! The one place that knows whether loom is checking.

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

/// Locks a mutex that only its one owner of the moment ever locks.
pub(crate) fn lock_owned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // loom then fails the test if the lock is ever found taken.
    #[cfg(loom)]
    return mutex.try_lock().expect("two owners of one cell");
    // Nothing that runs under the lock can panic, so there is nothing to recover from.
    #[cfg(not(loom))]
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Keeps what many threads write apart from what lies beside it.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

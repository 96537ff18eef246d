//! Locks, condition variables, atomics and threads: the real ones, or loom's under `--cfg loom`.

#[cfg(loom)]
#[path = "sync/loom.rs"]
mod modelled;

#[cfg(not(loom))]
pub(crate) use {
    parking_lot::{Condvar, Mutex, MutexGuard},
    std::{
        sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
        thread,
    },
};

#[cfg(loom)]
pub(crate) use self::modelled::{
    AtomicBool, AtomicU8, AtomicU64, Condvar, Mutex, MutexGuard, Ordering, thread,
};

//! The one place that knows whether loom is checking.

#[cfg(loom)]
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

//! loom's types with the interfaces of parking_lot and std.
//!
//! Time stands still under loom: a wait for later never times out, so that a wake-up that is lost
//! is a deadlock, which loom reports. A wait of up to [`POLLING`] is a poll: it yields once and times
//! out.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::PoisonError,
    time::{Duration, Instant},
};

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crate::clock;

const POLLING: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.take()) }
    }

    fn take(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        Some(self.lock())
    }

    pub(crate) fn try_lock_for(&self, _patience: Duration) -> Option<MutexGuard<'_, T>> {
        Some(self.lock())
    }
}

/// Empty while its owner waits for a [`Condvar`] alone.
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    held: Option<loom::sync::MutexGuard<'a, T>>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("its owner does not wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("its owner does not wait")
    }
}

#[derive(Default)]
pub(crate) struct Condvar(loom::sync::Condvar);

pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if let Some(held) = guard.held.take() {
            guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
        }
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        until: Instant,
    ) -> WaitTimeoutResult {
        if until.saturating_duration_since(clock::now()) <= POLLING {
            guard.held = None;
            loom::thread::yield_now();
            guard.held = Some(guard.mutex.take());
            return WaitTimeoutResult(true);
        }
        self.wait(guard);
        WaitTimeoutResult(false)
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}

pub(crate) mod thread {
    //! loom's own token is lost when its thread waits for a lock; this one is not.

    use std::{cell::RefCell, io, sync::Arc, time::Duration};

    pub(crate) use loom::thread::ThreadId;

    use super::{Condvar, Mutex};

    loom::thread_local! {
        static TOKEN: RefCell<Option<Arc<Token>>> = RefCell::new(None);
    }

    #[derive(Debug, Default)]
    struct Token {
        is_there: Mutex<bool>,
        changed: Condvar,
    }

    #[derive(Clone, Debug)]
    pub(crate) struct Thread {
        id: ThreadId,
        token: Arc<Token>,
    }

    impl Thread {
        pub(crate) fn id(&self) -> ThreadId {
            self.id
        }

        pub(crate) fn unpark(&self) {
            *self.token.is_there.lock() = true;
            self.token.changed.notify_one();
        }
    }

    pub(crate) struct Current(ThreadId);

    impl Current {
        pub(crate) fn id(&self) -> ThreadId {
            self.0
        }
    }

    pub(crate) fn current() -> Current {
        Current(loom::thread::current().id())
    }

    pub(crate) fn park_timeout(_timeout: Duration) {
        let token = TOKEN.with(|token| token.borrow().clone()).expect("made by a builder");
        let mut is_there = token.is_there.lock();
        while !*is_there {
            token.changed.wait(&mut is_there);
        }
        *is_there = false;
    }

    pub(crate) struct Builder(loom::thread::Builder);

    pub(crate) struct JoinHandle(Thread);

    impl JoinHandle {
        pub(crate) fn thread(&self) -> &Thread {
            &self.0
        }
    }

    impl Builder {
        pub(crate) fn new() -> Self {
            Self(loom::thread::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        pub(crate) fn spawn(self, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
            let token = Arc::<Token>::default();
            let of_thread = Arc::clone(&token);
            let spawned = self.0.spawn(move || {
                TOKEN.with(|token| *token.borrow_mut() = Some(of_thread));
                run();
            })?;
            Ok(JoinHandle(Thread { id: spawned.thread().id(), token }))
        }
    }
}

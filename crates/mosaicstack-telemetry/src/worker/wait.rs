//! Waiting with a deadline for another thread or task: on a blocked thread or in a future.

use std::{
    collections::BTreeMap,
    mem,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Instant,
};

use crate::{
    clock, panics,
    sync::{Condvar, Mutex},
};

/// Result of polling an operation that has a deadline.
#[derive(Debug)]
pub(crate) enum Wait<T> {
    /// The operation has completed.
    Ready(T),
    /// Poll again when the waker is called, and at this time at the latest.
    Until(Instant),
}

/// Wakers of the callers that wait for one state change.
#[derive(Debug, Default)]
pub(crate) struct WakerSet {
    /// By key, so that callers are woken in the order in which they began to wait.
    wakers: BTreeMap<u64, Waker>,
    last_key: u64,
}

/// Key of a registered waker; `None` before the registration. Remove it when the wait ends.
pub(crate) type WakerKey = Option<u64>;

impl WakerSet {
    /// Registers the waker of `cx` and returns the one that it replaces.
    ///
    /// Drop the returned waker without holding a lock: the last waker of a task drops the task, and
    /// with it futures that remove their own keys.
    #[must_use]
    pub(crate) fn register(&mut self, key: &mut WakerKey, cx: &Context<'_>) -> Option<Waker> {
        let key = *key.get_or_insert_with(|| {
            self.last_key += 1;
            self.last_key
        });
        self.wakers.insert(key, cx.waker().clone())
    }

    /// Removes a waker, to be dropped without holding a lock.
    #[must_use]
    pub(crate) fn remove(&mut self, key: WakerKey) -> Option<Waker> {
        self.wakers.remove(&key?)
    }

    /// Removes all wakers, to be woken without holding a lock.
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        mem::take(&mut self.wakers).into_values().collect()
    }
}

pub(crate) fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        // A waker may panic; catch it so that the remaining wakers still run.
        let _ = panics::catch(|| waker.wake());
    }
}

/// Polls on the calling thread, blocking it in between.
pub(crate) fn block_on<T>(mut poll: impl FnMut(Instant, &mut Context<'_>) -> Wait<T>) -> T {
    let parker = Arc::<Parker>::default();
    let waker = Waker::from(Arc::clone(&parker));
    let mut cx = Context::from_waker(&waker);
    loop {
        match poll(clock::now(), &mut cx) {
            Wait::Ready(value) => return value,
            Wait::Until(until) => parker.park(until),
        }
    }
}

/// Parks one thread. `std::thread::park` would consume tokens that belong to the application.
#[derive(Debug, Default)]
struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    fn park(&self, until: Instant) {
        let mut woken = self.woken.lock();
        while !*woken {
            if self.changed.wait_until(&mut woken, until).timed_out() {
                break;
            }
        }
        *woken = false;
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.woken.lock() = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Idle;

    impl Wake for Idle {
        fn wake(self: Arc<Self>) {}
    }

    fn waker() -> (Waker, std::sync::Weak<Idle>) {
        let idle = Arc::new(Idle);
        let weak = Arc::downgrade(&idle);
        (Waker::from(idle), weak)
    }

    #[test]
    fn register_replaces_waker_and_returns_it() {
        let (mut wakers, mut key) = (WakerSet::default(), None);
        let ((first, first_weak), (second, second_weak)) = (waker(), waker());
        assert!(wakers.register(&mut key, &Context::from_waker(&first)).is_none());
        let replaced = wakers.register(&mut key, &Context::from_waker(&second));
        drop(first);
        assert_eq!(first_weak.strong_count(), 1, "not dropped in between");
        drop(replaced);
        assert_eq!(first_weak.strong_count(), 0);
        drop((second, wakers.remove(key)));
        assert_eq!(second_weak.strong_count(), 0);
        assert!(wakers.take().is_empty());
    }
}

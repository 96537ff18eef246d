//! Waiting for another thread or task, whichever way the waiting one can.

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

/// What polling something yields that ends by itself, or by a deadline.
#[derive(Debug)]
pub(crate) enum Wait<T> {
    /// It has ended.
    Ready(T),
    /// It is to be polled again when the waker is called, and at this time at the latest.
    Until(Instant),
}

/// Those who wait for the same thing.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// By their places, so that whoever came first is woken first.
    wakers: BTreeMap<u64, Waker>,
    places: u64,
}

/// Where somebody stands among those who wait; to be given back when the wait is over.
pub(crate) type Place = Option<u64>;

impl Waiters {
    /// Returns the waker that stood there before, to be dropped when no lock is held: the last one of
    /// a task drops the task, and what waits in it.
    #[must_use]
    pub(crate) fn register(&mut self, place: &mut Place, cx: &Context<'_>) -> Option<Waker> {
        let place = *place.get_or_insert_with(|| {
            self.places += 1;
            self.places
        });
        self.wakers.insert(place, cx.waker().clone())
    }

    /// What stood there, to be dropped likewise.
    #[must_use]
    pub(crate) fn remove(&mut self, place: Place) -> Option<Waker> {
        self.wakers.remove(&place?)
    }

    /// Takes them out, to be woken when no lock is held.
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        mem::take(&mut self.wakers).into_values().collect()
    }
}

pub(crate) fn wake_all(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(wake);
}

/// A panic of a waker is its executor's affair: it must cost nobody else his wake-up.
pub(crate) fn wake(waker: Waker) {
    let _ = panics::catch(|| waker.wake());
}

/// Waits on the calling thread.
pub(crate) fn block_on<T>(mut poll: impl FnMut(Instant, &mut Context<'_>) -> Wait<T>) -> T {
    let signal = Arc::<Signal>::default();
    let waker = Waker::from(Arc::clone(&signal));
    let mut cx = Context::from_waker(&waker);
    loop {
        match poll(clock::now(), &mut cx) {
            Wait::Ready(value) => return value,
            Wait::Until(until) => signal.wait(until),
        }
    }
}

/// Not the thread's own token, which is the application's.
#[derive(Debug, Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn wait(&self, until: Instant) {
        let mut woken = self.woken.lock();
        while !*woken {
            if self.changed.wait_until(&mut woken, until).timed_out() {
                break;
            }
        }
        *woken = false;
    }
}

impl Wake for Signal {
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
    fn a_place_has_one_waker_and_what_it_replaces_is_handed_back() {
        let (mut waiters, mut place) = (Waiters::default(), None);
        let ((first, first_weak), (second, second_weak)) = (waker(), waker());
        assert!(waiters.register(&mut place, &Context::from_waker(&first)).is_none());
        let replaced = waiters.register(&mut place, &Context::from_waker(&second));
        drop(first);
        assert_eq!(first_weak.strong_count(), 1, "it is not dropped in between");
        drop(replaced);
        assert_eq!(first_weak.strong_count(), 0);
        drop((second, waiters.remove(place)));
        assert_eq!(second_weak.strong_count(), 0);
        assert!(waiters.take().is_empty());
    }
}

//! Between those who ask for a flush or a stop, and the worker that does it.

use std::{
    fmt,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use crate::{
    sync::{Mutex, MutexGuard},
    wait::{self, Place, Wait, Waiters},
};

/// How much later than its deadline a call may return: the last attempt ends at the deadline, and
/// what came of it is worth the wait.
pub(crate) const GRACE: Duration = Duration::from_millis(20);

/// What callers want, and how far the worker is.
pub(crate) struct Control {
    state: Mutex<State>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct State {
    /// How many flushes have been asked for, and how many of them the worker has begun.
    asked: u64,
    begun: u64,
    /// When the last drain has to be over, once it has been asked for.
    close_by: Option<Instant>,
    /// Until when the worker sleeps; none while it is at work.
    sleeps_until: Option<Instant>,
    /// The worker has ended: nothing more is settled.
    ended: bool,
    /// It has, and the last notice has been told.
    done: bool,
    waiters: Waiters,
    /// The least that a flush among those who wait waits for.
    mark: Option<u64>,
}

/// A flush that has been asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Which of those that were asked for.
    pub(crate) number: u64,
    /// How many events had been queued, ever: so many are to be settled.
    pub(crate) mark: u64,
    pub(crate) deadline: Instant,
}

/// What the worker has been asked since it looked last.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) flush: bool,
    pub(crate) close_by: Option<Instant>,
}

impl Control {
    /// `wake` makes the worker look for orders; it is called from `track`.
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), wake: Box::new(wake) }
    }

    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    /// Asks for a flush; returns its number.
    pub(crate) fn ask_flush(&self) -> u64 {
        let number = {
            let mut state = self.state.lock();
            state.asked += 1;
            state.asked
        };
        self.wake();
        number
    }

    pub(crate) fn ask_close(&self, deadline: Instant) {
        self.state.lock().close_by = Some(deadline);
        self.wake();
    }

    /// Whether a flush has ended: as many events as it waits for are `settled`, or the worker cannot
    /// settle any more before the deadline, or it has passed. `settled` is called under the lock.
    pub(crate) fn poll_flush(
        &self,
        now: Instant,
        cx: &Context<'_>,
        place: &mut Place,
        Order { number, mark, deadline }: Order,
        settled: impl Fn() -> u64,
    ) -> Wait<bool> {
        let mut state = self.state.lock();
        if settled() >= mark {
            return Wait::Ready(true);
        }
        let sleeps_on = state.sleeps_until.is_some_and(|until| until >= deadline);
        if state.ended || (state.begun >= number && sleeps_on) || now >= deadline {
            return Wait::Ready(false);
        }
        state.mark = Some(state.mark.map_or(mark, |least| least.min(mark)));
        Self::enter(state, place, cx);
        Wait::Until(deadline)
    }

    /// Whether the client is done; if not, it wakes the caller when it is.
    pub(crate) fn poll_done(&self, place: &mut Place, cx: &Context<'_>) -> bool {
        let state = self.state.lock();
        let done = state.done;
        if !done {
            Self::enter(state, place, cx);
        }
        done
    }

    fn enter(mut state: MutexGuard<'_, State>, place: &mut Place, cx: &Context<'_>) {
        let replaced = state.waiters.register(place, cx);
        drop(state);
        drop(replaced);
    }

    /// Gives a place back, if there is one: the wait is over, or given up.
    pub(crate) fn leave(&self, place: Place) {
        if place.is_some() {
            let waker = self.state.lock().waiters.remove(place);
            drop(waker);
        }
    }

    /// For the worker: what there is to do. It is at work from now on.
    pub(crate) fn take_orders(&self) -> Orders {
        let mut state = self.state.lock();
        state.sleeps_until = None;
        let flush = state.asked > state.begun;
        state.begun = state.asked;
        Orders { flush, close_by: state.close_by.take() }
    }

    /// For the worker in the middle of an attempt: when the last drain has to be over, if it has
    /// been asked for meanwhile.
    #[cfg(feature = "tokio")]
    pub(crate) fn close_by(&self) -> Option<Instant> {
        self.state.lock().close_by
    }

    /// For the worker: whether it may sleep. It may not if there are orders.
    pub(crate) fn may_sleep(&self, until: Instant) -> bool {
        let waiters = {
            let mut state = self.state.lock();
            if state.asked > state.begun || state.close_by.is_some() {
                return false;
            }
            state.sleeps_until = Some(until);
            state.everybody()
        };
        wait::wake_all(waiters);
        true
    }

    /// For the worker: something has been settled. Wakes nobody for less than is waited for: a
    /// thread would begin to run with each batch only to wait again.
    pub(crate) fn progress(&self, settled: impl Fn() -> u64) {
        // Under the lock, or it could fall between a caller's look and its registration.
        let waiters = {
            let mut state = self.state.lock();
            if state.mark.is_none_or(|mark| settled() < mark) {
                return;
            }
            state.everybody()
        };
        wait::wake_all(waiters);
    }

    /// For the worker: it will do nothing more.
    pub(crate) fn ended(&self) {
        self.end(|state| state.ended = true);
    }

    /// Nobody will do anything more for the client, neither its worker nor its hook.
    pub(crate) fn done(&self) {
        self.end(|state| state.done = true);
    }

    fn end(&self, set: impl FnOnce(&mut State)) {
        let waiters = {
            let mut state = self.state.lock();
            set(&mut state);
            state.everybody()
        };
        wait::wake_all(waiters);
    }
}

impl State {
    /// Takes out all who wait, to be woken when no lock is held.
    fn everybody(&mut self) -> Vec<Waker> {
        self.mark = None;
        self.waiters.take()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("state", &self.state).finish_non_exhaustive()
    }
}

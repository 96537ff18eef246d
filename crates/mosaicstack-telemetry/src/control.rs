//! Between the threads that ask for a flush or a stop, and the worker that does it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// What callers want, and how far the worker is.
#[derive(Debug, Default)]
pub(crate) struct Control {
    state: Mutex<State>,
    changed: Condvar,
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
    done: bool,
}

/// What the worker has been asked since it looked last.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) flush: bool,
    pub(crate) close_by: Option<Instant>,
}

impl Control {
    /// Asks for a flush; returns its number.
    pub(crate) fn ask_flush(&self) -> u64 {
        let mut state = self.state.lock();
        state.asked += 1;
        state.asked
    }

    pub(crate) fn ask_close(&self, deadline: Instant) {
        self.state.lock().close_by = Some(deadline);
    }

    /// Waits until the flush with that number has ended: `settled` is true, or the worker cannot
    /// settle any more before the deadline, or it has passed. `settled` is called under the lock.
    pub(crate) fn wait_for_flush(
        &self,
        number: u64,
        deadline: Instant,
        settled: impl Fn() -> bool,
    ) -> bool {
        let mut state = self.state.lock();
        loop {
            if settled() {
                return true;
            }
            let sleeps_on = state.sleeps_until.is_some_and(|until| until >= deadline);
            if state.done || (state.begun >= number && sleeps_on) {
                return false;
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return settled();
            }
        }
    }

    /// Waits until the worker is done, but not beyond `deadline`.
    pub(crate) fn wait_for_done(&self, deadline: Instant) {
        let mut state = self.state.lock();
        while !state.done {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return;
            }
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

    /// For the worker: whether it may sleep. It may not if there are orders.
    pub(crate) fn may_sleep(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        if state.asked > state.begun || state.close_by.is_some() {
            return false;
        }
        state.sleeps_until = Some(until);
        self.changed.notify_all();
        true
    }

    /// For the worker: something has been settled.
    pub(crate) fn progress(&self) {
        // With the lock, or it could fall between a caller's look and its wait.
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// For the worker: it will do nothing more.
    pub(crate) fn done(&self) {
        self.state.lock().done = true;
        self.changed.notify_all();
    }
}

/// How much later than its deadline a call may return: the last attempt ends at the deadline, and
/// what came of it is worth the wait.
pub(crate) const GRACE: Duration = Duration::from_millis(20);

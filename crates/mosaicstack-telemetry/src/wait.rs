//! Waiting for another thread or task, whichever way the waiting one can.

use std::{
    mem,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Instant,
};

use parking_lot::{Condvar, Mutex};

use crate::clock;

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
pub(crate) struct Waiters(Vec<Waker>);

impl Waiters {
    pub(crate) fn register(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    /// Takes them out, to be woken when no lock is held.
    pub(crate) fn take(&mut self) -> Self {
        Self(mem::take(&mut self.0))
    }

    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
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

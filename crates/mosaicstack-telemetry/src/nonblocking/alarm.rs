//! Waiting in a future, on whichever executor it is polled.

use std::{
    future::{self, Future},
    pin::Pin,
    task::{Context, Poll, Waker},
    thread::{self, JoinHandle},
    time::Instant,
};

use tokio::{
    runtime::{EnterGuard, Handle},
    time,
};

use crate::{clock, wait::Wait};

/// The runtime that a client was started in, if there was one.
#[derive(Clone, Debug)]
pub(super) struct Home(Option<Handle>);

impl Home {
    pub(super) fn current() -> Self {
        Self(Handle::try_current().ok())
    }

    pub(super) const fn runtime(&self) -> Option<&Handle> {
        self.0.as_ref()
    }

    /// Lends that runtime to a caller that is on none, for a transport that needs one.
    pub(super) fn lend(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().filter(|_| Handle::try_current().is_err()).map(Handle::enter)
    }

    /// Whether the caller is on that runtime, so that its timers run.
    fn is_current(&self) -> bool {
        let here = Handle::try_current();
        self.0.as_ref().zip(here.ok()).is_some_and(|(home, here)| home.id() == here.id())
    }
}

/// Waits without holding up a thread.
pub(super) async fn wait<T>(
    home: &Home,
    mut poll: impl FnMut(Instant, &mut Context<'_>) -> Wait<T>,
) -> T {
    let mut alarm = None;
    future::poll_fn(|cx| {
        loop {
            match poll(clock::tokio_now(), cx) {
                Wait::Ready(value) => return Poll::Ready(value),
                Wait::Until(until) => {
                    if Alarm::set(&mut alarm, home, until).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    alarm = None;
                }
            }
        }
    })
    .await
}

/// Wakes a task at a certain time.
struct Alarm {
    at: Instant,
    timer: Timer,
}

enum Timer {
    /// On the client's own runtime, which runs as long as the caller is on it.
    Own(Pin<Box<time::Sleep>>),
    /// Anywhere else, a timer may be missing, or its runtime may end or stand still: a thread does
    /// not.
    Thread(Option<(Waker, JoinHandle<()>)>),
}

impl Alarm {
    /// Leaves an alarm as it is if it is set to that time, where the caller is.
    fn set<'a>(alarm: &'a mut Option<Self>, home: &Home, at: Instant) -> &'a mut Self {
        let is_home = home.is_current();
        let current = alarm.take();
        alarm.insert(match current {
            Some(current) if current.at == at && current.timer.is_own() == is_home => current,
            _ if is_home => Self { at, timer: Timer::Own(Box::pin(time::sleep_until(at.into()))) },
            _ => Self { at, timer: Timer::Thread(None) },
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.timer {
            Timer::Own(sleep) => sleep.as_mut().poll(cx),
            Timer::Thread(thread) => {
                let left = self.at.saturating_duration_since(clock::tokio_now());
                if left.is_zero() {
                    return Poll::Ready(());
                }
                if thread.as_ref().is_none_or(|(waker, thread)| {
                    thread.is_finished() || !waker.will_wake(cx.waker())
                }) {
                    release(thread);
                    let waker = cx.waker().clone();
                    let wake = waker.clone();
                    let spawned = thread::Builder::new().spawn(move || {
                        thread::park_timeout(left);
                        wake.wake();
                    });
                    // Without a thread, whatever else wakes the task has to do.
                    *thread = spawned.ok().map(|spawned| (waker, spawned));
                }
                Poll::Pending
            }
        }
    }
}

impl Timer {
    const fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Timer::Thread(thread) = &mut self.timer {
            release(thread);
        }
    }
}

/// Lets a thread end that is no longer needed.
fn release(thread: &mut Option<(Waker, JoinHandle<()>)>) {
    if let Some((_, thread)) = thread.take() {
        thread.thread().unpark();
    }
}

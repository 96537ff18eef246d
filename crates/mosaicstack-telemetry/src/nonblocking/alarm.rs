//! Waiting in a future, on whichever executor it is polled.

use std::{
    future::{self, Future},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use tokio::{
    runtime::{EnterGuard, Handle},
    time::{self, Sleep},
};

use super::alarm_clock::{AlarmClock, Key};
use crate::{clock, wait::Wait};

/// Where a client lives.
#[derive(Clone, Debug)]
pub(super) struct Home {
    /// The runtime that it was started in, if there was one.
    runtime: Option<Handle>,
    /// For those who wait elsewhere.
    clock: Arc<AlarmClock>,
}

impl Home {
    pub(super) fn current() -> Self {
        Self { runtime: Handle::try_current().ok(), clock: Arc::default() }
    }

    pub(super) const fn runtime(&self) -> Option<&Handle> {
        self.runtime.as_ref()
    }

    /// Lends that runtime to a caller that is on none, for a transport that needs one.
    pub(super) fn lend(&self) -> Option<EnterGuard<'_>> {
        self.runtime().filter(|_| Handle::try_current().is_err()).map(Handle::enter)
    }

    /// Whether the caller is on that runtime, so that its timers run.
    fn is_current(&self) -> bool {
        let here = Handle::try_current();
        self.runtime().zip(here.ok()).is_some_and(|(home, here)| home.id() == here.id())
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
                    if Alarm::set(&mut alarm, home, until, cx).is_pending() {
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
    /// The runtime's own, which runs as long as the caller is on it.
    Runtime(Pin<Box<Sleep>>),
    /// Anywhere else, a timer may be missing, or its runtime may end or stand still.
    Clock(Arc<AlarmClock>, Key),
}

impl Alarm {
    /// Sets an alarm for the caller, where it is; ready if the time has come.
    fn set(alarm: &mut Option<Self>, home: &Home, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let is_home = home.is_current();
        if let Some(set) = alarm
            && set.at == at
            && set.timer.is_runtimes() == is_home
        {
            return set.poll(cx);
        }
        let timer = if is_home {
            Timer::Runtime(Box::pin(time::sleep_until(at.into())))
        } else {
            Timer::Clock(Arc::clone(&home.clock), home.clock.set(at, cx.waker().clone()))
        };
        alarm.insert(Self { at, timer }).poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.timer {
            Timer::Runtime(sleep) => sleep.as_mut().poll(cx),
            Timer::Clock(clock, key) if clock.update(*key, cx.waker()) => Poll::Pending,
            Timer::Clock(..) => Poll::Ready(()),
        }
    }
}

impl Timer {
    const fn is_runtimes(&self) -> bool {
        matches!(self, Self::Runtime(_))
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Timer::Clock(clock, key) = &self.timer {
            clock.remove(*key);
        }
    }
}

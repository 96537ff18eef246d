//! Waiting in a future, on whichever executor it is polled.

use std::{
    future::{self, Future},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
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
    /// None for the worker, which knows that its runtime runs.
    clock: Option<Arc<AlarmClock>>,
}

impl Home {
    pub(super) fn current() -> Self {
        Self { runtime: Handle::try_current().ok(), clock: Some(Arc::default()) }
    }

    /// The same for the worker, whose task the runtime itself polls.
    pub(super) fn of_worker(&self) -> Self {
        Self { runtime: self.runtime.clone(), clock: None }
    }

    pub(super) const fn runtime(&self) -> Option<&Handle> {
        self.runtime.as_ref()
    }

    /// The time on the clock by which the caller's deadlines are kept.
    pub(super) fn now(&self) -> Instant {
        if self.is_current() { clock::tokio_now() } else { clock::now() }
    }

    /// Lends that runtime to a caller that is on none, for a transport that needs one.
    pub(super) fn lend(&self) -> Option<EnterGuard<'_>> {
        self.runtime().filter(|_| Handle::try_current().is_err()).map(Handle::enter)
    }

    /// Whether the caller is on that runtime.
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
            match poll(home.now(), cx) {
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
    is_home: bool,
    /// The runtime's timer: the worker's, and that of callers whose clock a test has stopped. On
    /// another executor within the runtime's thread, or when the runtime ends, nobody drives it: hence
    /// the clock beside it.
    sleep: Option<Pin<Box<Sleep>>>,
    clock: Option<(Arc<AlarmClock>, Key)>,
}

impl Alarm {
    /// Sets an alarm for the caller, where it is; ready if the time has come.
    fn set(alarm: &mut Option<Self>, home: &Home, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let is_home = home.is_current();
        if let Some(set) = alarm
            && set.at == at
            && set.is_home == is_home
        {
            return set.poll(cx);
        }
        // Without timers, tokio panics, and again when the runtime ends: not without need, since a panic
        // is seen by the program's hook, and may end it. The worker cannot do without.
        let sleep = || match catch_unwind(|| Box::pin(time::sleep_until(at.into()))) {
            Err(panic) if home.clock.is_none() => resume_unwind(panic),
            sleep => sleep.ok(),
        };
        let clock =
            |clock: &Arc<AlarmClock>| (Arc::clone(clock), clock.set(at, cx.waker().clone()));
        let needs_timer = is_home && (home.clock.is_none() || !clock::is_tokio_real());
        let sleep = needs_timer.then(sleep).flatten();
        let clock = home.clock.as_ref().map(clock);
        alarm.insert(Self { at, is_home, sleep, clock }).poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sleep) = &mut self.sleep {
            // When its runtime is about to end, tokio panics.
            match catch_unwind(AssertUnwindSafe(|| sleep.as_mut().poll(cx))) {
                Ok(Poll::Ready(())) => return Poll::Ready(()),
                Ok(Poll::Pending) => {}
                Err(panic) if self.clock.is_none() => resume_unwind(panic),
                Err(_) => self.sleep = None,
            }
        }
        let is_set = |(clock, key): &(Arc<AlarmClock>, Key)| clock.update(*key, cx.waker());
        // Once the clock has rung, it is the timer's turn, which may stand still.
        if self.sleep.is_some() | self.clock.as_ref().is_some_and(is_set) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some((clock, key)) = &self.clock {
            clock.remove(*key);
        }
    }
}

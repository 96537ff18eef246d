//! Waiting in a future, with tokio's timers.

use std::{
    future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use tokio::{
    runtime::{EnterGuard, Handle},
    time::{self, Sleep},
};

use super::wait::Wait;
use crate::{clock, panics};

/// The tokio runtime in which a client was started, if there was one.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Option<Handle>);

impl Runtime {
    pub(crate) fn current() -> Self {
        Self(Handle::try_current().ok())
    }

    pub(super) const fn handle(&self) -> Option<&Handle> {
        self.0.as_ref()
    }

    /// Whether the caller has timers: those of its own runtime, or of this one.
    pub(crate) fn has_timers(&self) -> bool {
        let _entered = self.enter();
        Timer::new(clock::tokio_now()).sleep.is_some()
    }

    /// Enters this runtime if the caller is in none, for timers and transports that need one.
    pub(super) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.handle().filter(|_| Handle::try_current().is_err()).map(Handle::enter)
    }

    /// Waits until `poll` is ready, polling it whenever it asks for it.
    pub(crate) async fn wait<T>(
        &self,
        mut poll: impl FnMut(Instant, &mut Context<'_>) -> Wait<T>,
    ) -> T {
        let mut timer: Option<Timer> = None;
        future::poll_fn(|cx| {
            loop {
                let until = match poll(clock::tokio_now(), cx) {
                    Wait::Ready(value) => return Poll::Ready(value),
                    Wait::Until(until) => until,
                };
                let _entered = self.enter();
                let set = timer.take().filter(|timer| timer.at == until);
                let timer = timer.insert(set.unwrap_or_else(|| Timer::new(until)));
                if timer.poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

/// A tokio timer; `None` where tokio has none: outside a runtime, in one that was built without
/// timers, or in one that is shutting down.
struct Timer {
    at: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn new(at: Instant) -> Self {
        // Without timers, tokio panics. Only the presence of a runtime can be asked for.
        let create = || panics::catch(|| Box::pin(time::sleep_until(at.into()))).ok();
        let sleep = Handle::try_current().ok().and_then(|_| create());
        Self { at, sleep }
    }

    /// Pending for good without a timer: then only the waker ends the wait.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        // tokio panics when the runtime has shut down its timers. By then it has dropped the
        // worker's task, which wakes all that wait for it.
        panics::catch(|| sleep.as_mut().poll(cx)).unwrap_or_else(|_| {
            self.sleep = None;
            Poll::Pending
        })
    }
}

//! Waiting in a future, with tokio's timers.

use std::{
    convert::Infallible,
    future::{self, Future},
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use tokio::{
    runtime::{EnterGuard, Handle},
    sync::oneshot,
    task::AbortHandle,
    time,
};

use super::wait::Wait;
use crate::clock;

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

    /// True if the caller has a runtime: its own, or this one.
    pub(crate) fn is_available(&self) -> bool {
        self.0.is_some() || Handle::try_current().is_ok()
    }

    /// Enters this runtime if the caller is in none, for a transport that needs one.
    pub(super) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.handle().filter(|_| Handle::try_current().is_err()).map(Handle::enter)
    }

    /// For callers: waits until `poll` is ready, polling it whenever it asks for it. If the caller's
    /// runtime ends, the time that `poll` waits for counts as reached.
    pub(crate) async fn wait<T>(
        &self,
        mut poll: impl FnMut(Instant, &mut Context<'_>) -> Wait<T>,
    ) -> T {
        let mut timer: Option<Timer> = None;
        future::poll_fn(|cx| {
            let mut now = clock::tokio_now();
            loop {
                let until = match poll(now, cx) {
                    Wait::Ready(value) => return Poll::Ready(value),
                    Wait::Until(until) => until,
                };
                if timer.as_ref().is_none_or(|timer| timer.at != until) {
                    timer = self.timer(until);
                }
                let Some(running) = &mut timer else { return Poll::Pending };
                if Pin::new(&mut running.expired).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                timer = None;
                now = until.max(clock::tokio_now());
            }
        })
        .await
    }

    /// A timer of the caller's runtime, or of this one. Without both there is no worker either: the
    /// wait ends by itself.
    fn timer(&self, at: Instant) -> Option<Timer> {
        let current = Handle::try_current();
        current.ok().as_ref().or_else(|| self.handle()).map(|runtime| Timer::start(at, runtime))
    }
}

/// A timer that may outlive its runtime.
struct Timer {
    at: Instant,
    /// Ready when the task has ended: the time has come, or the runtime has dropped the task.
    expired: oneshot::Receiver<Infallible>,
    task: AbortHandle,
}

impl Timer {
    fn start(at: Instant, runtime: &Handle) -> Self {
        let (running, expired) = oneshot::channel();
        // In a task: a `Sleep` that is polled beside the end of its runtime panics, which ends a
        // program built with `panic = "abort"`. A task is dropped instead.
        let task = runtime.spawn(async move {
            time::sleep_until(at.into()).await;
            drop(running);
        });
        Self { at, expired, task: task.abort_handle() }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

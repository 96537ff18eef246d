//! The tokio runtime of a client, and waiting on it with a deadline.

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
    task::{self, AbortHandle},
    time::{self, Sleep},
};

use super::{blocking::Place, wait::Wait};
use crate::{clock, panics};

/// The tokio runtime in which a client was started, if there was one.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    handle: Option<Handle>,
    worker: Option<task::Id>,
}

impl Runtime {
    pub(super) fn current() -> Self {
        Self { handle: Handle::try_current().ok(), worker: None }
    }

    pub(super) const fn handle(&self) -> Option<&Handle> {
        self.handle.as_ref()
    }

    pub(super) const fn set_worker(&mut self, id: task::Id) {
        self.worker = Some(id);
    }

    /// True if the caller is on the worker task, which cannot wait for itself.
    pub(crate) fn is_worker(&self) -> bool {
        self.worker_task().is_current()
    }

    /// The worker task without the runtime, for handles that outlive it.
    pub(super) const fn worker_task(&self) -> WorkerTask {
        WorkerTask(self.worker)
    }

    /// True if the caller has a runtime: its own, or this one.
    pub(crate) fn is_available(&self) -> bool {
        self.handle.is_some() || Handle::try_current().is_ok()
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
                if timer.as_mut().is_none_or(|timer| timer.poll(cx).is_pending()) {
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
        if task::try_id().is_some() {
            return Some(Timer::within_task(at));
        }
        let current = Handle::try_current();
        current.ok().as_ref().or_else(|| self.handle()).map(|runtime| Timer::spawn(at, runtime))
    }
}

pub(super) struct WorkerTask(Option<task::Id>);

impl Place for WorkerTask {
    fn is_current(&self) -> bool {
        self.0.is_some() && task::try_id() == self.0
    }
}

struct Timer {
    at: Instant,
    kind: Kind,
}

enum Kind {
    /// Within a task. `None` if the runtime has no timers.
    Sleep(Option<Pin<Box<Sleep>>>),
    /// Elsewhere. The task has ended when the time has come, or when the runtime has dropped it.
    Task { ended: oneshot::Receiver<Infallible>, task: AbortHandle },
}

impl Timer {
    /// Polled in place: a spawned task could wait for this very thread, if the caller blocks it.
    fn within_task(at: Instant) -> Self {
        let sleep = panics::catch(|| Box::pin(time::sleep_until(at.into()))).ok();
        Self { at, kind: Kind::Sleep(sleep) }
    }

    /// In a task: a `Sleep` that is polled while its runtime shuts down panics, which ends a program
    /// built with `panic = "abort"`. A task is dropped instead.
    fn spawn(at: Instant, runtime: &Handle) -> Self {
        let (running, ended) = oneshot::channel();
        let task = runtime.spawn(async move {
            time::sleep_until(at.into()).await;
            drop(running);
        });
        Self { at, kind: Kind::Task { ended, task: task.abort_handle() } }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.kind {
            Kind::Sleep(None) => Poll::Ready(()),
            // It panics if the runtime of that task has ended since.
            Kind::Sleep(Some(sleep)) => {
                panics::catch(|| sleep.as_mut().poll(cx)).unwrap_or(Poll::Ready(()))
            }
            Kind::Task { ended, .. } => Pin::new(ended).poll(cx).map(drop),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Kind::Task { task, .. } = &self.kind {
            task.abort();
        }
    }
}

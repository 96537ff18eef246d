//! Flush and shutdown on a blocked thread, as the handles of both clients offer them.

use std::{fmt, sync::Arc, time::Duration};

use super::{client_core::ClientCore, wait::block_on};
use crate::{clock, error::FlushError, handle::Worker};

/// The thread or task of a worker, as its callers see it.
pub(super) trait Place: Send + Sync + 'static {
    /// True if the caller is on the worker, which cannot wait for itself.
    fn is_current(&self) -> bool;

    /// Starts a worker that could not be started before. False if it still cannot.
    fn ensure_started(&self) -> bool {
        true
    }

    /// Ends all waits for a worker that cannot be started.
    fn abandon(&self) {}
}

/// Gives the handle of a client `flush` and `shutdown`.
pub(super) fn connect_handle(core: &mut ClientCore, worker: impl Place) {
    let calls = BlockingCalls { core: core.clone(), worker };
    core.handle.connect(Arc::new(calls));
}

struct BlockingCalls<P> {
    core: ClientCore,
    worker: P,
}

impl<P: Place> Worker for BlockingCalls<P> {
    fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        let Some(mut flush) = self.core.flush(clock::now(), timeout)? else { return Ok(()) };
        if self.worker.is_current() || !self.worker.ensure_started() {
            return flush.result();
        }
        block_on(|now, cx| flush.poll(now, cx))
    }

    fn shut_down(&self, timeout: Duration) {
        let Some(mut shutdown) = self.core.shut_down(clock::now(), timeout) else { return };
        if self.worker.is_current() {
            return;
        }
        if !self.worker.ensure_started() {
            self.worker.abandon();
        }
        block_on(|now, cx| shutdown.poll(now, cx));
        shutdown.report_pending();
    }
}

impl<P> fmt::Debug for BlockingCalls<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingCalls").field("core", &self.core).finish_non_exhaustive()
    }
}

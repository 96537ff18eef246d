//! Flush and shutdown on a blocked thread, as the handles of both clients offer them.

use std::{fmt, sync::Arc, time::Duration};

use super::{client_core::ClientCore, wait::block_on};
use crate::{clock, error::FlushError, handle::Worker};

/// Gives the handle of a client `flush` and `shutdown`. `is_worker` tells whether the caller is the
/// worker, which cannot wait for itself.
pub(super) fn connect_handle(
    core: &mut ClientCore,
    is_worker: impl Fn() -> bool + Send + Sync + 'static,
) {
    let calls = BlockingCalls { core: core.clone(), is_worker: Box::new(is_worker) };
    core.handle.connect(Arc::new(calls));
}

struct BlockingCalls {
    core: ClientCore,
    is_worker: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Worker for BlockingCalls {
    fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        let Some(mut flush) = self.core.flush(clock::now(), timeout)? else { return Ok(()) };
        if (self.is_worker)() {
            return flush.result();
        }
        block_on(|now, cx| flush.poll(now, cx))
    }

    fn shut_down(&self, timeout: Duration) {
        let Some(mut shutdown) = self.core.shut_down_within(clock::now(), timeout) else { return };
        if !(self.is_worker)() {
            block_on(|now, cx| shutdown.poll(now, cx));
            shutdown.report_pending();
        }
    }
}

impl fmt::Debug for BlockingCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingCalls").field("core", &self.core).finish_non_exhaustive()
    }
}

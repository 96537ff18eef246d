//! Runs the submitter at the requests of callers; shared by the thread and the tokio task.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use telemetry_transport::{Response, TransportError};

use super::signal::Signal;
use crate::{
    clock,
    event_buffer::EventBuffer,
    panics,
    submitter::{Action, Delivery, Submitter},
};

/// Pause after two panics in a row outside the transport (in a log subscriber, for example).
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// The worker's side of a client. Dropping it ends the waits of all callers.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) signal: Arc<Signal>,
    pub(crate) buffer: Arc<EventBuffer>,
    submitter: Submitter,
}

impl Driver {
    pub(super) const fn new(
        signal: Arc<Signal>,
        buffer: Arc<EventBuffer>,
        submitter: Submitter,
    ) -> Self {
        Self { signal, buffer, submitter }
    }

    /// Handles the requests of callers and returns what to do next.
    pub(crate) fn next(&mut self, now: Instant) -> Action {
        let poll = |submitter: &mut Submitter, signal: &Signal| {
            let requests = signal.take_requests();
            if requests.flush {
                submitter.flush(now);
            }
            if let Some(deadline) = requests.shutdown_by {
                submitter.close(now, deadline);
            }
            submitter.poll(now)
        };
        // Retried once at once: most messages are logged only once, and a pause could outlast the
        // rest of a shutdown.
        for _ in 0..2 {
            match panics::catch(|| poll(&mut self.submitter, &self.signal)) {
                Ok(action) => return action,
                Err(_) => self.buffer.count_panic(),
            }
        }
        Action::Wait(clock::after(now, PAUSE_AFTER_PANIC))
    }

    /// True if the worker may sleep, false if there are requests of callers.
    pub(crate) fn try_sleep(&self, until: Instant) -> bool {
        // Events may also be done with without a request, as in a dry run.
        self.signal.try_sleep(until, || self.buffer.tracked_acknowledged())
    }

    /// Handles the result of a request.
    pub(crate) fn complete(
        &mut self,
        now: Instant,
        delivery: Delivery,
        result: Result<Response, TransportError>,
    ) {
        let complete = || self.submitter.complete(now, clock::wall(), delivery, result);
        if panics::catch(complete).is_err() {
            // The submitter updates its state before it logs and notifies, so it can go on.
            self.buffer.count_panic();
        }
        self.signal.notify_progress(|| self.buffer.tracked_acknowledged());
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.signal.end();
    }
}

//! What every driver of the submitter does, but for sending and sleeping.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use telemetry_transport::{Response, TransportError};

use crate::{
    Action, Delivery, Submitter, clock, control::Control, outbox::Outbox, panics, process::Process,
};

/// How long a worker pauses after two panics in a row outside the transport, in a log subscriber
/// say: it may happen again.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// Runs the submitter under the callers' control. Dropped, it tells them that it has ended, and as
/// soon as the last notice has been told, that all is done.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) control: Arc<Control>,
    pub(crate) outbox: Arc<Outbox>,
    submitter: Submitter,
    done: Arc<Done>,
}

/// Dropped, it tells the callers that nothing more will be done.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) control: Arc<Control>,
    pub(crate) process: Process,
}

impl Drop for Done {
    fn drop(&mut self) {
        // In a forked child, nobody is there to be told, and whoever holds the lock may not be either.
        if !self.process.is_forked() {
            self.control.done();
        }
    }
}

impl Driver {
    pub(crate) const fn new(
        control: Arc<Control>,
        outbox: Arc<Outbox>,
        submitter: Submitter,
        done: Arc<Done>,
    ) -> Self {
        Self { control, outbox, submitter, done }
    }

    /// Takes orders, and says what to do next.
    pub(crate) fn next(&mut self, now: Instant) -> Action {
        let poll = |submitter: &mut Submitter, control: &Control| {
            let orders = control.take_orders();
            if orders.flush {
                submitter.flush(now);
            }
            if let Some(deadline) = orders.close_by {
                submitter.close(now, deadline);
            }
            submitter.poll(now)
        };
        // Most of what is logged is logged once. A pause at once could last longer than what is
        // left of a last drain.
        for _ in 0..2 {
            match panics::catch(|| poll(&mut self.submitter, &self.control)) {
                Ok(action) => return action,
                Err(_) => self.outbox.panicked(),
            }
        }
        Action::Wait(clock::after(now, PAUSE_AFTER_PANIC))
    }

    /// Reports what became of a request.
    pub(crate) fn complete(
        &mut self,
        now: Instant,
        delivery: Delivery,
        result: Result<Response, TransportError>,
    ) {
        let complete = || self.submitter.complete(now, delivery, result);
        if panics::catch(complete).is_err() {
            // What was to be done next is decided before anything is logged.
            self.outbox.panicked();
        }
        self.control.progress(|| self.outbox.settled());
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.done.process.is_forked() {
            // Those who wait for events do not wait for the hook.
            self.control.ended();
            self.outbox.notices.close();
        }
    }
}

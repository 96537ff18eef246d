//! What every driver of the submitter does, but for sending and sleeping.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use telemetry_transport::{Response, TransportError};

use crate::{Action, Delivery, Submitter, clock, control::Control, outbox::Outbox, panics};

/// How long a worker pauses after two panics in a row outside the transport, in a log subscriber
/// say: it may happen again.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// Runs the submitter under the callers' control. Dropped, it tells them that it is done.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) control: Arc<Control>,
    pub(crate) outbox: Arc<Outbox>,
    submitter: Submitter,
}

impl Driver {
    pub(crate) const fn new(
        control: Arc<Control>,
        outbox: Arc<Outbox>,
        submitter: Submitter,
    ) -> Self {
        Self { control, outbox, submitter }
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
                Err(_) => self.outbox.counters.panics.add(1),
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
            self.outbox.counters.panics.add(1);
        }
        self.control.progress();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.control.done();
    }
}

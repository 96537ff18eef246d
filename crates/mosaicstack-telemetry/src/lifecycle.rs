//! What both clients are, but for the way they wait.

use std::{
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};

use tracing::{debug, warn};

use crate::{
    FlushError, LOG_TARGET, TelemetryConfig, TelemetryHandle, clock,
    control::{Control, GRACE, Order},
    driver::{Done, Driver},
    notices::Notices,
    outbox::Outbox,
    panics,
    process::Process,
    wait::{Place, Wait},
};

/// How long booking a result can take at the most, with other threads in the way. Within what a
/// deadline may be late, beside what the worker is waited for after it.
const BOOKING: Duration = Duration::from_millis(20);

/// A running client.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    pub(crate) handle: TelemetryHandle,
    /// None if telemetry is disabled, or once the client has been stopped.
    control: Option<Arc<Control>>,
    shutdown_timeout: Duration,
    pub(crate) process: Process,
}

impl Lifecycle {
    /// A client, and what its worker has to drive, unless telemetry is disabled. `clock` is
    /// the worker's, `wake` makes it look for orders.
    pub(crate) fn new(
        config: &TelemetryConfig,
        clock: fn() -> Instant,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> (Self, Option<Driver>) {
        let control = Arc::new(Control::new(wake));
        let process = Process::current();
        let wake = {
            let control = Arc::clone(&control);
            // In a forked child nobody is there to be woken, and a lock on the way may be held for
            // ever.
            move || {
                if !process.is_forked() {
                    control.wake()
                }
            }
        };
        let start = clock::start(clock());
        let is_enabled = config.is_enabled();
        let done = Arc::new(Done { control: Arc::clone(&control), process });
        let hook = config.on_notification.as_ref().filter(|_| is_enabled);
        let notices = Notices::on_thread(hook, Arc::clone(&done));
        let (mut handle, submitter) = TelemetryHandle::new(config, start, wake, notices);
        handle.clock = clock;
        if !is_enabled {
            debug!(target: LOG_TARGET, "telemetry is disabled: events are counted and dropped");
        }
        let outbox = Arc::clone(&handle.outbox);
        let driver = is_enabled.then(|| Driver::new(Arc::clone(&control), outbox, submitter, done));
        let lifecycle = Self {
            handle,
            control: is_enabled.then_some(control),
            shutdown_timeout: config.shutdown_timeout,
            process,
        };
        (lifecycle, driver)
    }

    /// Asks for a flush; none if there is nothing to wait for.
    pub(crate) fn flush(
        &self,
        now: Instant,
        deadline: Duration,
    ) -> Result<Option<Flush<'_>>, FlushError> {
        let Some(control) = &self.control else { return Ok(None) };
        let outbox = &*self.handle.outbox;
        let mark = outbox.queued();
        if outbox.settled() >= mark {
            return Ok(None);
        }
        if self.process.is_forked() {
            return Err(FlushError::new(outbox.pending()));
        }
        let deadline = clock::after(now, deadline);
        let number = control.ask_flush();
        let order = Order { number, mark, deadline };
        Ok(Some(Flush { control, outbox, order, place: None }))
    }

    /// Asks for the last drain; none if there is nothing to wait for, or the hook asks, whose end would
    /// be waited for.
    pub(crate) fn close(&mut self, now: Instant) -> Option<Closing> {
        let control = self.control.take()?;
        self.handle.outbox.close();
        if self.process.is_forked() {
            return None;
        }
        let deadline = clock::after(now, self.shutdown_timeout);
        control.ask_close(deadline);
        let outbox = Arc::clone(&self.handle.outbox);
        if outbox.notices.is_current() {
            return None;
        }
        Some(Closing { control, outbox, deadline, place: None })
    }
}

/// A flush that has been asked for.
#[derive(Debug)]
pub(crate) struct Flush<'a> {
    control: &'a Control,
    outbox: &'a Outbox,
    order: Order,
    place: Place,
}

impl Flush<'_> {
    pub(crate) fn poll(&mut self, now: Instant, cx: &Context<'_>) -> Wait<Result<(), FlushError>> {
        let outbox = self.outbox;
        match self.control.poll_flush(now, cx, &mut self.place, self.order, || outbox.settled()) {
            // Not looked at again: while the next batch is being taken out, it can seem to be less.
            Wait::Ready(true) => Wait::Ready(Ok(())),
            Wait::Ready(false) => Wait::Ready(self.result()),
            Wait::Until(deadline) => Wait::Until(deadline),
        }
    }

    /// How it stands.
    pub(crate) fn result(&self) -> Result<(), FlushError> {
        if self.outbox.settled() >= self.order.mark {
            return Ok(());
        }
        Err(FlushError::new(self.outbox.pending()))
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        self.control.leave(self.place);
    }
}

/// A last drain that has been asked for.
#[derive(Debug)]
pub(crate) struct Closing {
    control: Arc<Control>,
    outbox: Arc<Outbox>,
    deadline: Instant,
    place: Place,
}

impl Closing {
    /// Whether the worker is done and the books are closed, or there is no more time for it.
    pub(crate) fn poll(&mut self, now: Instant, cx: &Context<'_>) -> Wait<()> {
        let over = clock::after(self.deadline, GRACE);
        if !self.control.poll_done(&mut self.place, cx) && now < over {
            return Wait::Until(over);
        }
        // An attempt that was left to itself may be between two of the numbers right now.
        if self.outbox.stats().is_balanced() || now >= clock::after(over, BOOKING) {
            return Wait::Ready(());
        }
        Wait::Until(clock::after(now, Duration::from_millis(1)))
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.control.leave(self.place);
    }
}

/// Says what a client that has stopped leaves behind.
pub(crate) fn report_pending(outbox: &Outbox) {
    let pending = outbox.pending();
    if pending > 0 {
        // In `Drop`, a subscriber's panic could end the program.
        let _ = panics::catch(|| {
            warn!(target: LOG_TARGET, "stopped in time, but {pending} events are not delivered");
        });
    }
}

//! The task that runs the submitter.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Instant,
};

use telemetry_transport::{AsyncTransport, Request, Response, Timeout, TransportError};
use tokio::{sync::Notify, time};
use tracing::warn;

use super::alarm::{self, Home};
use crate::{
    Action, LOG_TARGET, TelemetryConfig, clock,
    control::Control,
    driver::Driver,
    lifecycle::{self, Lifecycle},
    outbox::Outbox,
    panics,
    wait::Wait,
};

/// Starts the task, unless telemetry is disabled.
pub(super) fn spawn(
    config: &TelemetryConfig,
    transport: &Arc<dyn AsyncTransport>,
) -> (Lifecycle, Home) {
    let notify = Arc::<Notify>::default();
    let wake = {
        let notify = Arc::clone(&notify);
        move || notify.notify_one()
    };
    let (lifecycle, driver) = Lifecycle::new(config, clock::tokio_now, wake);
    let home = Home::current();
    if let Some(driver) = driver {
        let transport = Arc::clone(transport);
        let worker = Worker { driver, transport, notify, home: home.of_worker(), is_done: false };
        match home.runtime() {
            Some(runtime) => drop(runtime.spawn(worker.run())),
            None => drop(worker),
        }
    }
    (lifecycle, home)
}

struct Worker {
    driver: Driver,
    transport: Arc<dyn AsyncTransport>,
    notify: Arc<Notify>,
    home: Home,
    is_done: bool,
}

impl Worker {
    async fn run(mut self) {
        loop {
            match self.driver.next(clock::tokio_now()) {
                Action::Send(request, delivery) => {
                    let result = self.send(request).await;
                    self.driver.complete(clock::tokio_now(), delivery, result);
                }
                Action::Wait(until) => {
                    if self.driver.control.may_sleep(until) {
                        // An order that comes in between has left a permit, and this returns at once.
                        let _ = time::timeout_at(until.into(), self.notify.notified()).await;
                    }
                }
                Action::Done => break,
            }
        }
        self.is_done = true;
    }

    /// Sends a request, but not beyond the end of the last drain.
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let control: &Control = &self.driver.control;
        let mut notified = pin!(self.notify.notified());
        let close_by = |cx: &mut Context<'_>| {
            // What else this was the call for is looked for after the attempt.
            while notified.as_mut().poll(cx).is_ready() {
                notified.set(self.notify.notified());
            }
            control.close_by()
        };
        send(&*self.transport, request, &self.home, &self.driver.outbox, close_by).await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_done {
            lifecycle::report_pending(&self.driver.outbox);
        } else {
            let reason = if thread::panicking() {
                "the task has panicked, on a runtime without timers perhaps"
            } else {
                "there is no runtime, or it has ended"
            };
            // A subscriber's panic must not meet another one.
            let _ = panics::catch(|| {
                warn!(target: LOG_TARGET, "{reason}: events only wait in the queue");
            });
        }
    }
}

/// Sends a request for as long as it allows and `cut` does not want it to end. A panic of the
/// transport is an attempt that failed.
pub(super) async fn send(
    transport: &dyn AsyncTransport,
    request: Request,
    home: &Home,
    outbox: &Outbox,
    mut cut: impl FnMut(&mut Context<'_>) -> Option<Instant>,
) -> Result<Response, TransportError> {
    let expires = clock::after(home.now(), Timeout::of(&request));
    let begin = || {
        let _runtime = home.lend();
        transport.send(request)
    };
    let Ok(mut sending) = panics::catch(begin) else {
        return Err(outbox.transport_panicked());
    };
    let result = alarm::wait(home, |now, cx| {
        let _runtime = home.lend();
        match panics::catch(|| sending.as_mut().poll(cx)) {
            Ok(Poll::Ready(result)) => return Wait::Ready(result),
            Ok(Poll::Pending) => {}
            Err(_) => return Wait::Ready(Err(outbox.transport_panicked())),
        }
        let until = cut(cx).map_or(expires, |cut| cut.min(expires));
        if now >= until {
            return Wait::Ready(Err(TransportError::Timeout));
        }
        Wait::Until(until)
    })
    .await;
    if panics::catch(|| drop(sending)).is_err() {
        outbox.panicked();
    }
    result
}

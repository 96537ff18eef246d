//! The worker task of the client on tokio.

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

use super::{
    client_core::{ClientCore, report_pending},
    driver::Driver,
    timer::Runtime,
    wait::Wait,
};
use crate::{
    LOG_TARGET, clock, config::TelemetryConfig, event_buffer::EventBuffer, panics,
    submitter::Action,
};

/// Spawns the task on the current runtime, unless telemetry is disabled.
pub(crate) fn spawn(
    config: &TelemetryConfig,
    transport: &Arc<dyn AsyncTransport>,
) -> (ClientCore, Runtime) {
    let notify = Arc::<Notify>::default();
    let wake = {
        let notify = Arc::clone(&notify);
        move || notify.notify_one()
    };
    let (core, driver) = ClientCore::new(config, clock::tokio_now, wake);
    let runtime = Runtime::current();
    if let Some(driver) = driver {
        let transport = Arc::clone(transport);
        let worker = Worker { driver, transport, notify, runtime: runtime.clone(), is_done: false };
        match runtime.handle() {
            Some(handle) => drop(handle.spawn(worker.run())),
            None => drop(worker),
        }
    }
    (core, runtime)
}

struct Worker {
    driver: Driver,
    transport: Arc<dyn AsyncTransport>,
    notify: Arc<Notify>,
    runtime: Runtime,
    is_done: bool,
}

impl Worker {
    async fn run(mut self) {
        // Panics on a runtime without timers, before a request is sent without a time-out.
        drop(time::sleep_until(time::Instant::now()));
        loop {
            match self.driver.next(clock::tokio_now()) {
                Action::Send(request, delivery) => {
                    let result = self.send(request).await;
                    self.driver.complete(clock::tokio_now(), delivery, result);
                }
                Action::Wait(until) => {
                    if self.driver.signal.try_sleep(until) {
                        // A request made since then has left a permit: this returns at once.
                        let _ = time::timeout_at(until.into(), self.notify.notified()).await;
                    }
                }
                Action::Done => break,
            }
        }
        self.is_done = true;
    }

    /// Sends a request, at most until the deadline of a shutdown.
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut notified = pin!(self.notify.notified());
        let shutdown_by = |cx: &mut Context<'_>| {
            // Other requests than a shutdown are handled after the attempt.
            while notified.as_mut().poll(cx).is_ready() {
                notified.set(self.notify.notified());
            }
            self.driver.signal.shutdown_deadline()
        };
        send(&*self.transport, request, &self.runtime, &self.driver.buffer, shutdown_by).await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_done {
            report_pending(&self.driver.buffer);
        } else {
            let reason = if thread::panicking() {
                "the worker task has panicked; does the tokio runtime have timers (enable_time)?"
            } else {
                "there is no tokio runtime, or it has shut down"
            };
            // A panic of a log subscriber during unwinding would abort the program.
            let _ = panics::catch(|| warn!(target: LOG_TARGET, "{reason}; events stay queued"));
        }
    }
}

/// Sends a request within its time-out, and until the time that `cut_off` returns, if earlier. A
/// panic of the transport is a failed attempt.
pub(crate) async fn send(
    transport: &dyn AsyncTransport,
    request: Request,
    runtime: &Runtime,
    buffer: &EventBuffer,
    mut cut_off: impl FnMut(&mut Context<'_>) -> Option<Instant> + Send,
) -> Result<Response, TransportError> {
    let expires = clock::after(clock::tokio_now(), Timeout::of(&request));
    let start = || {
        let _entered = runtime.enter();
        transport.send(request)
    };
    let Ok(mut sending) = panics::catch(start) else {
        return Err(buffer.transport_panicked());
    };
    let result = runtime
        .wait(|now, cx| {
            let _entered = runtime.enter();
            match panics::catch(|| sending.as_mut().poll(cx)) {
                Ok(Poll::Ready(result)) => return Wait::Ready(result),
                Ok(Poll::Pending) => {}
                Err(_) => return Wait::Ready(Err(buffer.transport_panicked())),
            }
            let until = cut_off(cx).map_or(expires, |at| at.min(expires));
            if now >= until {
                return Wait::Ready(Err(TransportError::Timeout));
            }
            Wait::Until(until)
        })
        .await;
    if panics::catch(|| drop(sending)).is_err() {
        buffer.count_panic();
    }
    result
}

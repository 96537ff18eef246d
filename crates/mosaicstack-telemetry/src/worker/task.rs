//! The worker task of the client on tokio.

use std::{
    future::{self, Future},
    pin::pin,
    sync::Arc,
    task::Poll,
    thread,
};

use telemetry_transport::{AsyncTransport, Request, Response, Timeout, TransportError};
use tokio::{sync::Notify, task, time};
use tracing::warn;

use super::{
    attempt::Attempt, blocking::connect_handle, client_core::ClientCore, driver::Driver,
    left::Left, runtime::Runtime,
};
use crate::{LOG_TARGET, clock, config::TelemetryConfig, panics, stats::Health, submitter::Action};

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
    let (mut core, driver) = ClientCore::new(config, clock::tokio_now, wake);
    let mut runtime = Runtime::current();
    if let Some(driver) = driver {
        let transport = Arc::clone(transport);
        let worker = Worker { driver, transport, notify, runtime: runtime.clone(), is_done: false };
        match runtime.handle() {
            Some(handle) => {
                let id = handle.spawn(worker.run()).id();
                runtime.set_worker(id);
            }
            None => drop(worker),
        }
    }
    connect_handle(&mut core, runtime.worker_task());
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
                    if !self.driver.try_sleep(until) {
                        continue;
                    }
                    if until <= clock::tokio_now() {
                        // Polled again at once, as in a dry run. The timer would not yield.
                        task::yield_now().await;
                    } else {
                        // A request made since then has left a permit: this returns at once.
                        let _ = time::timeout_at(until.into(), self.notify.notified()).await;
                    }
                }
                Action::Done => break,
            }
        }
        self.is_done = true;
    }

    /// Sends a request: within its time-out, and at most until the deadline of a shutdown.
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let Driver { signal, buffer, .. } = &self.driver;
        let expires = clock::after(clock::tokio_now(), Timeout::of(&request));
        let mut attempt = Attempt::start(&*self.transport, request, &self.runtime, buffer);
        let mut timer = pin!(time::sleep_until(expires.into()));
        let mut notified = pin!(self.notify.notified());
        future::poll_fn(|cx| {
            if let Poll::Ready(result) = attempt.poll(cx) {
                return Poll::Ready(result);
            }
            // Other requests than a shutdown are handled after the attempt.
            while notified.as_mut().poll(cx).is_ready() {
                notified.set(self.notify.notified());
                if let Some(deadline) = signal.shutdown_deadline() {
                    timer.as_mut().reset(deadline.min(expires).into());
                }
            }
            timer.as_mut().poll(cx).map(|()| Err(TransportError::Timeout))
        })
        .await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_done {
            if let Some(left) = Left::once(&self.driver.buffer) {
                left.log();
            }
            return;
        }
        self.driver.buffer.counters.set_health(Health::NoWorker);
        if self.driver.buffer.pending() > 0 || self.runtime.handle().is_none() {
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

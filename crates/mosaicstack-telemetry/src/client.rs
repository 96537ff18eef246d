//! The client for programs without an asynchronous runtime.

use std::{fmt, sync::Arc, time::Duration};

use telemetry_model::{EventBuilder, TaskCompletionEvent};
use telemetry_transport::Transport;
#[cfg(any(feature = "hyper", feature = "ureq"))]
use telemetry_transport::{Request, Response, TransportError};

use crate::{
    config::TelemetryConfig,
    error::FlushError,
    handle::{TaskGuard, TelemetryHandle},
    predictions::Predictions,
    stats::Stats,
    worker::thread::{self, Spawn, WorkerThread},
};

/// Reports events from a background thread.
///
/// The client runs from its creation until [`stop`](Self::stop) or drop, which deliver the queued
/// events within the configured `shutdown_timeout`. Disabled telemetry has neither thread nor queue.
/// `std::process::exit` and signals drop nothing, nor is a `static` dropped: call
/// [`TelemetryHandle::shutdown`] before, or use [`global`](crate::global).
///
/// A forked child has no such thread: nothing is sent there, and every method returns at once. The
/// child may start a client itself.
///
/// ```no_run
/// # #[cfg(feature = "ureq")]
/// # fn report() -> Result<(), mosaicstack_telemetry::ConfigError> {
/// use mosaicstack_telemetry::{Outcome, TelemetryClient, TelemetryConfig};
///
/// let client = TelemetryClient::start(TelemetryConfig::from_env()?);
/// client.track(client.event().outcome(Outcome::Success).build());
/// let stats = client.stop();
/// println!("{} events were delivered", stats.delivered);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it stops it"]
pub struct TelemetryClient {
    handle: TelemetryHandle,
    predictions: Predictions,
    /// `None` after the shutdown.
    shutdown_timeout: Option<Duration>,
}

impl TelemetryClient {
    /// Starts a client that sends with [`UreqTransport`](crate::transport::UreqTransport). Needs the
    /// feature `ureq`, a default feature.
    ///
    /// Cannot fail: errors are logged and show in the [`Stats`].
    #[cfg(feature = "ureq")]
    pub fn start(config: TelemetryConfig) -> Self {
        if config.is_enabled() {
            let transport = config.ureq();
            return Self::with_transport(config, transport);
        }
        Self::with_transport(config, disabled)
    }

    /// Starts a client that sends with a custom transport.
    ///
    /// Cannot fail. If the system cannot spawn a thread, that is logged and shows as
    /// [`Health::NoWorker`](crate::Health::NoWorker): events stay queued, and later calls of `track`,
    /// `flush` and `stop` try again.
    pub fn with_transport(config: TelemetryConfig, transport: impl Transport + 'static) -> Self {
        Self::with_spawn(config, Arc::new(transport), thread::spawn)
    }

    #[expect(clippy::needless_pass_by_value, reason = "as the public constructors")]
    fn with_spawn(config: TelemetryConfig, transport: Arc<dyn Transport>, spawn: Spawn) -> Self {
        let core = WorkerThread::spawn(&config, &transport, spawn);
        let predictions = Predictions::new(&config, transport, &core);
        let shutdown_timeout = Some(config.shutdown_timeout());
        Self { handle: core.handle, predictions, shutdown_timeout }
    }

    /// A handle that records events from any thread.
    #[must_use]
    pub fn handle(&self) -> TelemetryHandle {
        self.handle.clone()
    }

    /// Records an event; see [`TelemetryHandle::track`] for the contract.
    pub fn track(&self, event: TaskCompletionEvent) {
        self.handle.track(event);
    }

    /// Starts an event with the configured instance id.
    pub fn event(&self) -> EventBuilder {
        self.handle.event()
    }

    /// Starts a task that is timed and tracks its event itself; see [`TelemetryHandle::begin`].
    pub fn begin(&self, event: EventBuilder) -> TaskGuard {
        self.handle.begin(event)
    }

    /// Sends the events tracked before this call, and waits until the server has accepted or
    /// rejected them; at most for `timeout` plus 50 ms.
    ///
    /// Returns earlier if nothing more can be done in time, because the server asked for a longer
    /// pause or refuses the configuration. Returns at once if telemetry is disabled, if the system
    /// cannot spawn the client's thread, and on that thread (in the transport, a log subscriber or the
    /// notification callback), which cannot wait for itself.
    ///
    /// # Errors
    ///
    /// Some events are still pending: they stay queued, and the client goes on trying. Or the full
    /// queue has evicted some of them during the call. The error has both numbers.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.handle.flush(timeout)
    }

    /// Delivers the queued events and ends, within the configured `shutdown_timeout` plus 50 ms.
    ///
    /// The first attempt begins at once, even during a pause that the server asked for. Events that
    /// could not be delivered in time are `pending` in the returned counters. Events tracked from
    /// now on are dropped.
    ///
    /// On the client's own thread (in the transport, a log subscriber or the notification callback)
    /// it requests the shutdown and returns at once: the thread cannot wait for its own end.
    pub fn stop(mut self) -> Stats {
        self.shut_down();
        self.stats()
    }

    /// The current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Predictions from the server and its cache; clone them to pass them around.
    #[doc(alias = "get_prediction")]
    #[doc(alias = "refresh_predictions_sync")]
    #[must_use]
    pub const fn predictions(&self) -> &Predictions {
        &self.predictions
    }

    fn shut_down(&mut self) {
        if let Some(timeout) = self.shutdown_timeout.take() {
            self.handle.shutdown(timeout);
        }
    }
}

/// The transport of a client with telemetry disabled, which sends nothing: unlike the others, it reads no
/// certificates and proxies of the environment.
#[cfg(any(feature = "hyper", feature = "ureq"))]
pub(crate) fn disabled(_: Request) -> Result<Response, TransportError> {
    Err(TransportError::other("telemetry is disabled"))
}

impl Drop for TelemetryClient {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl fmt::Debug for TelemetryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryClient").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{cell::Cell, io};

    use telemetry_transport::{Request, Response, TransportError};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::{Health, sync::thread::Thread};

    const AMPLE: Duration = Duration::from_secs(30);

    thread_local! {
        /// Attempts to spawn, and how many of them fail.
        static ATTEMPTS: Cell<u32> = const { Cell::new(0) };
        static FAILURES: Cell<u32> = const { Cell::new(0) };
    }

    fn spawn_later(run: Box<dyn FnOnce() + Send>) -> io::Result<Thread> {
        ATTEMPTS.set(ATTEMPTS.get() + 1);
        if ATTEMPTS.get() <= FAILURES.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        thread::spawn(run)
    }

    /// A client whose thread cannot be spawned that many times.
    fn client(failures: u32) -> TelemetryClient {
        ATTEMPTS.set(0);
        FAILURES.set(failures);
        let accept = |_: Request| -> Result<Response, TransportError> { Ok(Response::default()) };
        let config = TelemetryConfig::builder()
            .server_url("https://example.com")
            .api_key("a".repeat(64))
            .instance_id("12345678-1234-1234-1234-123456789abc");
        TelemetryClient::with_spawn(
            config.build().expect("a valid configuration"),
            Arc::new(accept),
            spawn_later,
        )
    }

    fn track(client: &TelemetryClient, count: usize) {
        (0..count).for_each(|_| client.track(client.event().build()));
    }

    #[test]
    fn thread_that_could_not_be_spawned_is_spawned_by_track() {
        let client = client(1);
        assert_eq!(client.stats().health, Health::NoWorker);
        track(&client, 1);
        assert_eq!((client.stats().health, ATTEMPTS.get()), (Health::Good, 2));
        assert_eq!(client.flush(AMPLE), Ok(()));
        assert_eq!((client.stop().delivered, ATTEMPTS.get()), (1, 2));
    }

    #[test]
    fn thread_that_could_not_be_spawned_is_spawned_by_flush() {
        let client = client(2);
        track(&client, 250);
        assert_eq!((client.stats().health, ATTEMPTS.get()), (Health::NoWorker, 2));
        assert_eq!(client.flush(AMPLE), Ok(()));
        assert_eq!((client.stop().delivered, ATTEMPTS.get()), (250, 3));
    }

    #[test]
    fn calls_return_at_once_without_a_thread() {
        let client = client(u32::MAX);
        track(&client, 2);
        assert_eq!(client.flush(Duration::MAX).unwrap_err().pending, 2);
        let buffer = Arc::downgrade(&client.handle.buffer);
        let stats = client.stop();
        assert_eq!((stats.pending, stats.health), (2, Health::NoWorker));
        assert!(buffer.upgrade().is_none(), "nothing keeps the worker");
    }

    #[test]
    fn panic_of_the_log_subscriber_about_the_thread_reaches_no_caller() {
        struct Panicking;
        impl MakeWriter<'_> for Panicking {
            type Writer = io::Sink;
            fn make_writer(&self) -> io::Sink {
                std::panic::resume_unwind(Box::new("a log subscriber panics"));
            }
        }
        let subscriber = tracing_subscriber::fmt().with_writer(Panicking).finish();
        tracing::subscriber::with_default(subscriber, || drop(client(u32::MAX)));
    }
}

//! The client for programs on tokio.

#[cfg(feature = "hyper")]
use std::future;
use std::{fmt, sync::Arc, time::Duration};

use telemetry_model::{EventBuilder, TaskCompletionEvent};
use telemetry_transport::AsyncTransport;

#[cfg(feature = "hyper")]
use crate::client::disabled;
use crate::{
    clock,
    config::TelemetryConfig,
    error::FlushError,
    handle::{TaskGuard, TelemetryHandle},
    predictions::AsyncPredictions,
    stats::Stats,
    worker::{ClientCore, Shutdown, runtime::Runtime, task},
};

/// Reports events from a background task on tokio. Needs the feature `tokio`.
///
/// Start it, and await its methods, on a tokio runtime with timers (and with I/O for the hyper
/// transport); a current-thread runtime will do. The client runs from its creation.
/// [`stop`](Self::stop) delivers the queued events within the configured `shutdown_timeout`.
/// Dropping the client requests the same and does not wait: the task delivers in the background
/// while the runtime runs. Disabled telemetry has neither task nor queue.
///
/// A `main` that returns, fails or panics without awaiting `stop` ends the runtime first. Programs that
/// end in many places use [`global`](crate::global), whose client has a thread.
///
/// Awaited outside tokio, a wait ends only while the client's runtime runs or after its end.
///
/// All times are those of tokio's clock. If a test pauses it (`start_paused`), tokio advances it whenever
/// every task waits, also for a socket: timeouts of requests then pass at once. Give such a test a
/// transport without I/O, or pause the clock only while nothing is sent.
///
/// If the runtime ends first, the task ends with it and queued events stay `pending`; methods that
/// are awaited on another runtime return at once. Without timers, tokio panics: that ends the task
/// only, except in a program built with `panic = "abort"`.
///
/// ```
/// use mosaicstack_telemetry::{AsyncTelemetryClient, Outcome, TelemetryConfig, transport::*};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let config = TelemetryConfig::builder()
///     .server_url("https://tel-api.mosaicstack.dev")
///     .api_key("a".repeat(64))
///     .instance_id("12345678-1234-1234-1234-123456789abc")
///     .build()?;
/// // With the feature `hyper`: `AsyncTelemetryClient::start(config)`.
/// let accept = |_: Request| async { Ok::<_, TransportError>(Response::default()) };
/// let client = AsyncTelemetryClient::with_transport(config, accept);
/// client.track(client.event().outcome(Outcome::Success).build());
/// let stats = client.stop().await;
/// assert_eq!(stats.delivered, 1);
/// # Ok(())
/// # })
/// # }
/// ```
#[must_use = "dropping it stops it"]
pub struct AsyncTelemetryClient {
    core: ClientCore,
    runtime: Runtime,
    predictions: AsyncPredictions,
    /// `None` after the shutdown.
    shutdown_timeout: Option<Duration>,
}

impl AsyncTelemetryClient {
    /// Starts a client that sends with [`HyperTransport`](crate::transport::HyperTransport). Needs
    /// the feature `hyper`.
    ///
    /// Cannot fail: errors are logged and show in the [`Stats`]. Outside a runtime, events stay
    /// queued, and [`Stats::health`] is [`Health::NoWorker`](crate::Health::NoWorker).
    #[cfg(feature = "hyper")]
    #[doc(alias = "start_async")]
    pub fn start(config: TelemetryConfig) -> Self {
        if config.is_enabled() {
            let transport = config.hyper();
            return Self::with_transport(config, transport);
        }
        Self::with_transport(config, |request| future::ready(disabled(request)))
    }

    /// Starts a client that sends with a custom transport.
    ///
    /// Cannot fail: errors are logged and show in the [`Stats`]. Outside a runtime, events stay
    /// queued, and [`Stats::health`] is [`Health::NoWorker`](crate::Health::NoWorker).
    pub fn with_transport(
        config: TelemetryConfig,
        transport: impl AsyncTransport + 'static,
    ) -> Self {
        let transport: Arc<dyn AsyncTransport> = Arc::new(transport);
        let (core, runtime) = task::spawn(&config, &transport);
        let predictions = AsyncPredictions::new(&config, transport, runtime.clone(), &core);
        let shutdown_timeout = Some(config.shutdown_timeout());
        Self { core, runtime, predictions, shutdown_timeout }
    }

    /// A handle that records events from any thread.
    #[must_use]
    pub fn handle(&self) -> TelemetryHandle {
        self.core.handle.clone()
    }

    /// Records an event; see [`TelemetryHandle::track`] for the contract.
    pub fn track(&self, event: TaskCompletionEvent) {
        self.core.handle.track(event);
    }

    /// Starts an event with the configured instance id.
    pub fn event(&self) -> EventBuilder {
        self.core.handle.event()
    }

    /// Starts a task that is timed and tracks its event itself; see [`TelemetryHandle::begin`].
    pub fn begin(&self, event: EventBuilder) -> TaskGuard {
        self.core.handle.begin(event)
    }

    /// Sends the events tracked before this call, and waits until the server has accepted or
    /// rejected them; at most for `timeout` plus 50 ms, if the runtime polls it in time.
    ///
    /// Returns earlier if nothing more can be done in time, because the server asked for a longer
    /// pause or refuses the configuration, or the client's runtime has ended. Returns at once if
    /// telemetry is disabled, and on the client's own task (in the notification callback, for
    /// example), which cannot wait for itself. Dropping the future ends the wait, not the flush.
    ///
    /// # Errors
    ///
    /// Some events are still pending: they stay queued, and the client goes on trying. Or the full
    /// queue has evicted some of them during the call. The error has both numbers.
    pub async fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        let Some(mut flush) = self.core.flush(clock::tokio_now(), timeout)? else { return Ok(()) };
        if self.runtime.is_worker() {
            return flush.result();
        }
        self.runtime.wait(|now, cx| flush.poll(now, cx)).await
    }

    /// Delivers the queued events and ends, within the configured `shutdown_timeout` plus 50 ms, if
    /// the runtime polls it in time.
    ///
    /// The first attempt begins at once, even during a pause that the server asked for. Events that
    /// could not be delivered in time are `pending` in the returned counters. Events tracked from
    /// now on are dropped. Dropping the future ends the wait, not the shutdown.
    #[doc(alias = "stop_async")]
    pub async fn stop(mut self) -> Stats {
        if let Some(mut shutdown) = self.shut_down()
            && !self.runtime.is_worker()
        {
            self.runtime.wait(|now, cx| shutdown.poll(now, cx)).await;
        }
        self.stats()
    }

    /// The current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.handle.stats()
    }

    /// Predictions from the server and its cache; clone them to pass them around.
    #[doc(alias = "get_prediction")]
    #[doc(alias = "refresh_predictions")]
    #[must_use]
    pub const fn predictions(&self) -> &AsyncPredictions {
        &self.predictions
    }

    fn shut_down(&mut self) -> Option<Shutdown> {
        let timeout = self.shutdown_timeout.take()?;
        self.core.shut_down(clock::tokio_now(), timeout)
    }
}

impl Drop for AsyncTelemetryClient {
    fn drop(&mut self) {
        // The task goes on alone, and logs how many events it leaves behind.
        drop(self.shut_down());
    }
}

impl fmt::Debug for AsyncTelemetryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncTelemetryClient").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

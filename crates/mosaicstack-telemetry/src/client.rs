//! The client for programs without an asynchronous runtime.

use std::{fmt, sync::Arc, time::Duration};

use telemetry_model::{EventBuilder, TaskCompletionEvent};
use telemetry_transport::Transport;

use crate::{
    config::TelemetryConfig,
    error::FlushError,
    handle::{TaskGuard, TelemetryHandle},
    predictions::Predictions,
    stats::Stats,
    worker::thread::WorkerThread,
};

/// Reports events from a background thread.
///
/// The client runs from its creation until [`stop`](Self::stop) or drop, which deliver the queued
/// events within the configured `shutdown_timeout`. Disabled telemetry has neither thread nor queue.
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
        Self::with_transport(config, telemetry_transport::UreqTransport::new())
    }

    /// Starts a client that sends with a custom transport.
    ///
    /// Cannot fail. If the system cannot spawn a thread, that is logged, and events stay queued.
    pub fn with_transport(config: TelemetryConfig, transport: impl Transport + 'static) -> Self {
        let transport: Arc<dyn Transport> = Arc::new(transport);
        let core = WorkerThread::spawn(&config, &transport);
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
    /// pause or refuses the configuration. Returns at once if telemetry is disabled, and on the
    /// client's own thread (in the transport, a log subscriber or the notification callback), which
    /// cannot wait for itself.
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

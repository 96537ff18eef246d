//! The client for programs without an asynchronous runtime.

mod predictor;
mod worker;

use std::{fmt, sync::Arc, time::Duration};

use telemetry_model::{EventBuilder, PredictionQuery, PredictionResponse, TaskCompletionEvent};
use telemetry_transport::Transport;

pub use self::predictor::Predictor;
use self::worker::Worker;
use crate::{
    FlushError, PredictionError, Stats, TaskGuard, TelemetryConfig, TelemetryHandle, clock,
    lifecycle::{self, Lifecycle},
    wait,
};

/// Reports events from a thread of its own.
///
/// Running from the moment it is made; [`stop`](Self::stop) or dropping it delivers what is queued,
/// for as long as the configuration's `shutdown_timeout` allows, and ends it. Disabled telemetry
/// has neither thread nor queue.
///
/// A forked child has no such thread: there, nothing is sent, and every method returns at once. It may
/// start a client of its own.
///
/// ```no_run
/// # #[cfg(feature = "ureq")]
/// # fn report() -> Result<(), mosaicstack_telemetry::ConfigError> {
/// use mosaicstack_telemetry::*;
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
    lifecycle: Lifecycle,
    worker: Worker,
    transport: Arc<dyn Transport>,
}

impl TelemetryClient {
    /// Starts a client that sends with [`UreqTransport`](crate::UreqTransport). Needs the feature
    /// `ureq`, which is on by default.
    ///
    /// Cannot fail: what goes wrong is logged and shows in the [`Stats`].
    #[cfg(feature = "ureq")]
    pub fn start(config: TelemetryConfig) -> Self {
        Self::with_transport(config, crate::UreqTransport::new())
    }

    /// Starts a client that sends with a transport of one's own.
    ///
    /// Cannot fail either: if the system has no thread for it, that is logged, and events wait.
    pub fn with_transport(config: TelemetryConfig, transport: impl Transport + 'static) -> Self {
        let transport: Arc<dyn Transport> = Arc::new(transport);
        let (lifecycle, worker) = worker::spawn(&config, &transport);
        Self { lifecycle, worker, transport }
    }

    /// A handle to record with from anywhere.
    #[must_use]
    pub fn handle(&self) -> TelemetryHandle {
        self.lifecycle.handle.clone()
    }

    /// Records an event; see [`TelemetryHandle::track`] for what it promises.
    pub fn track(&self, event: TaskCompletionEvent) {
        self.lifecycle.handle.track(event);
    }

    /// Starts an event of the configured installation.
    pub fn event(&self) -> EventBuilder {
        self.lifecycle.handle.event()
    }

    /// Begins a task that reports itself; see [`TelemetryHandle::begin`].
    pub fn begin(&self, event: EventBuilder) -> TaskGuard {
        self.lifecycle.handle.begin(event)
    }

    /// Sends what has been tracked before this call, and waits until the server has taken or
    /// refused it; no longer than `deadline`, plus 50 ms.
    ///
    /// Returns earlier if nothing more can be done before the deadline, because the server wants a
    /// pause that is longer, or refuses the configuration; also at once when called by the transport
    /// or a log subscriber on the client's own thread, which cannot wait for itself. Succeeds at once
    /// if telemetry is disabled.
    ///
    /// # Errors
    ///
    /// Events are still pending. They stay queued, and the client goes on trying.
    pub fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        let Some(mut flush) = self.lifecycle.flush(clock::now(), deadline)? else { return Ok(()) };
        if self.worker.is_current() {
            return flush.result();
        }
        wait::block_on(|now, cx| flush.poll(now, cx))
    }

    /// Delivers what is queued and ends, within the configured `shutdown_timeout` plus 50 ms.
    ///
    /// The last drain begins at once, even if the server asked for a pause. What could not be
    /// delivered in time is `pending` in the returned books. What is tracked from now on is dropped.
    ///
    /// Called by the transport, a log subscriber on the client's own thread, or the hook for notices,
    /// it asks for the same and returns at once: neither thread can wait for its own end.
    pub fn stop(mut self) -> Stats {
        self.shut_down();
        self.stats()
    }

    /// The books, at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.lifecycle.handle.stats()
    }

    /// What asks for predictions, to pass around.
    #[must_use]
    pub fn predictor(&self) -> Predictor {
        let transport = Arc::clone(&self.transport);
        Predictor::new(self.handle(), transport, self.lifecycle.process)
    }

    /// What the server predicts; see [`Predictor::predict`]. Runs on the calling thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn predict(
        &self,
        query: &PredictionQuery,
    ) -> Result<Arc<PredictionResponse>, PredictionError> {
        self.predictor().predict(query)
    }

    /// What the server predicts for several queries; see [`Predictor::predict_all`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn predict_all(
        &self,
        queries: &[PredictionQuery],
    ) -> Result<Vec<Arc<PredictionResponse>>, PredictionError> {
        self.predictor().predict_all(queries)
    }

    /// Asks the server for predictions and caches the answers; see [`Predictor::refresh`]. Runs on
    /// the calling thread.
    ///
    /// # Errors
    ///
    /// As there.
    #[doc(alias = "refresh_predictions_sync")]
    pub fn refresh_predictions(&self, queries: &[PredictionQuery]) -> Result<(), PredictionError> {
        self.predictor().refresh(queries)
    }

    /// The cached prediction for a query; see [`TelemetryHandle::prediction`].
    #[doc(alias = "get_prediction")]
    #[must_use]
    pub fn prediction(&self, query: &PredictionQuery) -> Option<Arc<PredictionResponse>> {
        self.lifecycle.handle.prediction(query)
    }

    fn shut_down(&mut self) {
        let Some(mut closing) = self.lifecycle.close(clock::now()) else { return };
        if !self.worker.is_current() {
            wait::block_on(|now, cx| closing.poll(now, cx));
        }
        lifecycle::report_pending(&self.lifecycle.handle.outbox);
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

//! The client for programs on tokio.

mod alarm;
mod alarm_clock;
mod predictor;
mod worker;

use std::{fmt, sync::Arc, time::Duration};

use telemetry_model::{EventBuilder, PredictionQuery, PredictionResponse, TaskCompletionEvent};
use telemetry_transport::AsyncTransport;

use self::alarm::Home;
pub use self::predictor::AsyncPredictor;
use crate::{
    FlushError, PredictionError, Stats, TaskGuard, TelemetryConfig, TelemetryHandle,
    lifecycle::Lifecycle,
};

/// Reports events from a task on tokio. Needs the feature `tokio`.
///
/// Running from the moment it is made, which has to be inside a runtime with timers (and I/O, if the
/// transport is hyper's); a current-thread one will do.
/// [`stop`](Self::stop) delivers what is queued, for as long as the configuration's
/// `shutdown_timeout` allows, and ends it. Dropping it asks for the same and does not wait: the task
/// drains in the background for as long as the runtime lives. Disabled telemetry has neither task
/// nor queue.
///
/// Its methods can be awaited on any executor, and predictions can be asked for there. If the runtime
/// ends first, the task ends with it, and what is queued stays `pending`; the methods still return.
///
/// Without timers, tokio panics. That ends the task alone, except in a program that is built with
/// `panic = "abort"`.
///
/// ```
/// use mosaicstack_telemetry::*;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let config = TelemetryConfig::builder()
///     .server_url("https://tel-api.mosaicstack.dev")
///     .api_key("a".repeat(64))
///     .instance_id("12345678-1234-1234-1234-123456789abc")
///     .build()?;
/// // `AsyncTelemetryClient::start(config)`, with the feature `hyper`; here, a transport that
/// // accepts everything.
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
    lifecycle: Lifecycle,
    home: Home,
    transport: Arc<dyn AsyncTransport>,
}

impl AsyncTelemetryClient {
    /// Starts a client that sends with [`HyperTransport`](crate::HyperTransport). Needs the feature
    /// `hyper`.
    ///
    /// Cannot fail: what goes wrong is logged and shows in the [`Stats`]. Outside a runtime, events
    /// only wait in the queue.
    #[cfg(feature = "hyper")]
    #[doc(alias = "start_async")]
    pub fn start(config: TelemetryConfig) -> Self {
        Self::with_transport(config, crate::HyperTransport::new())
    }

    /// Starts a client that sends with a transport of one's own.
    ///
    /// Cannot fail: what goes wrong is logged and shows in the [`Stats`]. Outside a runtime, events
    /// only wait in the queue.
    pub fn with_transport(
        config: TelemetryConfig,
        transport: impl AsyncTransport + 'static,
    ) -> Self {
        let transport: Arc<dyn AsyncTransport> = Arc::new(transport);
        let (lifecycle, home) = worker::spawn(&config, &transport);
        Self { lifecycle, home, transport }
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
    /// refused it; no longer than `deadline`, plus 50 ms, as far as the executor polls it.
    ///
    /// Returns earlier if nothing more can be done before the deadline, because the server wants a
    /// pause that is longer, or refuses the configuration, or the runtime has ended. Succeeds at
    /// once if telemetry is disabled. Dropping the future gives up the wait, not the flush.
    ///
    /// # Errors
    ///
    /// Events are still pending. They stay queued, and the client goes on trying.
    pub async fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        let Some(mut flush) = self.lifecycle.flush(self.home.now(), deadline)? else {
            return Ok(());
        };
        alarm::wait(&self.home, |now, cx| flush.poll(now, cx)).await
    }

    /// Delivers what is queued and ends, within the configured `shutdown_timeout` plus 50 ms, as far
    /// as the executor polls it.
    ///
    /// The last drain begins at once, even if the server asked for a pause. What could not be
    /// delivered in time is `pending` in the returned books. What is tracked from now on is dropped.
    /// Dropping the future gives up the wait, not the drain. On the thread of the hook for notices, it
    /// does not wait: that could not wait for its own end.
    #[doc(alias = "stop_async")]
    pub async fn stop(mut self) -> Stats {
        if let Some(mut closing) = self.lifecycle.close(self.home.now()) {
            alarm::wait(&self.home, |now, cx| closing.poll(now, cx)).await;
        }
        self.stats()
    }

    /// The books, at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.lifecycle.handle.stats()
    }

    /// What asks for predictions, to pass around.
    #[must_use]
    pub fn predictor(&self) -> AsyncPredictor {
        let transport = Arc::clone(&self.transport);
        AsyncPredictor::new(self.handle(), transport, self.home.clone(), self.lifecycle.process)
    }

    /// What the server predicts; see [`AsyncPredictor::predict`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn predict(
        &self,
        query: &PredictionQuery,
    ) -> Result<Arc<PredictionResponse>, PredictionError> {
        self.predictor().predict(query).await
    }

    /// What the server predicts for several queries; see [`AsyncPredictor::predict_all`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn predict_all(
        &self,
        queries: &[PredictionQuery],
    ) -> Result<Vec<Arc<PredictionResponse>>, PredictionError> {
        self.predictor().predict_all(queries).await
    }

    /// Asks the server for predictions and caches the answers; see [`AsyncPredictor::refresh`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn refresh_predictions(
        &self,
        queries: &[PredictionQuery],
    ) -> Result<(), PredictionError> {
        self.predictor().refresh(queries).await
    }

    /// The cached prediction for a query; see [`TelemetryHandle::prediction`].
    #[doc(alias = "get_prediction")]
    #[must_use]
    pub fn prediction(&self, query: &PredictionQuery) -> Option<Arc<PredictionResponse>> {
        self.lifecycle.handle.prediction(query)
    }
}

impl Drop for AsyncTelemetryClient {
    fn drop(&mut self) {
        // The drain goes on by itself, and says itself what it leaves behind.
        let _ = self.lifecycle.close(self.home.now());
    }
}

impl fmt::Debug for AsyncTelemetryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncTelemetryClient").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

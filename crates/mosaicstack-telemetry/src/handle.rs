//! What an application clones and passes around.

use std::{sync::Arc, time::Instant};

use telemetry_model::{EventBuilder, PredictionQuery, PredictionResponse, TaskCompletionEvent};
use uuid::Uuid;

use crate::{
    CachedPrediction, PredictionLookup, Start, Stats, Submitter, TaskGuard, TelemetryConfig, clock,
    notices::Notices, outbox::Outbox, predictions::Predictions,
};

/// Records events, reads predictions and the books. Never does I/O.
///
/// Cheap to clone, and all clones are one. It may outlive its client: what is tracked then is
/// counted as dropped.
#[derive(Clone, Debug)]
pub struct TelemetryHandle {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) predictions: Arc<Predictions>,
    instance_id: Uuid,
    /// The clock of whoever drives the rest: a test may have stopped it.
    pub(crate) clock: fn() -> Instant,
}

impl TelemetryHandle {
    /// A handle, and the [`Submitter`] that a driver of one's own runs instead of a client.
    ///
    /// `wake` is called when the driver should call [`Submitter::poll`] before the time it was
    /// told. It is called from [`track`](Self::track) alone and on its thread, so it must neither
    /// block nor panic; what it allocates and locks adds to what `track` promises.
    ///
    /// A hook that the configuration names is called by [`Submitter::poll`] and
    /// [`Submitter::complete`], on their thread.
    ///
    /// For predictions, such a driver carries out a
    /// [`prediction_lookup`](Self::prediction_lookup).
    ///
    /// A driver for a program that reports at its end:
    ///
    /// ```
    /// use std::time::{Instant, SystemTime};
    /// use mosaicstack_telemetry::*;
    ///
    /// let config = TelemetryConfig::builder()
    ///     .server_url("https://tel-api.mosaicstack.dev")
    ///     .api_key("a".repeat(64))
    ///     .instance_id("12345678-1234-1234-1234-123456789abc")
    ///     .build()?;
    /// let start = Start { now: Instant::now(), wall: SystemTime::now(), seed: 7 };
    /// let (handle, mut submitter) = TelemetryHandle::with_submitter(&config, start, || {});
    /// handle.track(handle.event().model("claude-sonnet-4-5-20250929").build());
    ///
    /// // This transport accepts everything, and time here is what we say it is.
    /// let transport = |_: Request| -> Result<Response, TransportError> { Ok(Response::default()) };
    /// let mut now = start.now;
    /// submitter.close(now, now + config.shutdown_timeout());
    /// loop {
    ///     match submitter.poll(now) {
    ///         Action::Send(request, delivery) => {
    ///             let result = transport.send(request);
    ///             submitter.complete(now, delivery, result);
    ///         }
    ///         Action::Wait(until) => now = until, // a real driver sleeps
    ///         Action::Done => break,
    ///     }
    /// }
    /// assert_eq!(handle.stats().delivered, 1);
    /// # Ok::<(), ConfigError>(())
    /// ```
    #[must_use]
    pub fn with_submitter(
        config: &TelemetryConfig,
        start: Start,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> (Self, Submitter) {
        Self::new(config, start, wake, Notices::here(config.on_notification.as_ref()))
    }

    pub(crate) fn new(
        config: &TelemetryConfig,
        start: Start,
        wake: impl Fn() + Send + Sync + 'static,
        notices: Notices,
    ) -> (Self, Submitter) {
        let outbox = Arc::new(Outbox::new(config, wake, notices));
        let submitter = Submitter::new(config, Arc::clone(&outbox), start);
        let handle = Self {
            outbox,
            predictions: Arc::new(Predictions::new(config)),
            instance_id: config.instance_id(),
            clock: clock::now,
        };
        (handle, submitter)
    }

    /// Records an event. Never fails, never panics and never blocks.
    ///
    /// The allocator aside, it waits for no other thread; it allocates once and does no I/O. (On
    /// tokio, waking the task when a batch is full takes the runtime's own short locks.) If the
    /// queue is full, the oldest event makes room; if telemetry is disabled or stopped, the event
    /// is dropped. Either is counted in the [`Stats`].
    pub fn track(&self, event: TaskCompletionEvent) {
        self.outbox.track(event);
    }

    /// Starts an event of the configured installation.
    pub fn event(&self) -> EventBuilder {
        EventBuilder::new(self.instance_id)
    }

    /// Begins a task: it is timed from now on, and `event`, with what is added until then, is reported
    /// when the guard is finished or dropped.
    pub fn begin(&self, event: EventBuilder) -> TaskGuard {
        TaskGuard::new(self.clone(), event)
    }

    /// The cached prediction for a query, if there is one and it is fresh; see
    /// [`cached_prediction`](Self::cached_prediction) for one that may be stale.
    ///
    /// The server may have answered that it has no data: then there is a response, whose
    /// `prediction` is none.
    #[doc(alias = "get_prediction")]
    #[must_use]
    pub fn prediction(&self, query: &PredictionQuery) -> Option<Arc<PredictionResponse>> {
        self.predictions.fresh((self.clock)(), query)
    }

    /// What the server answered last to a query, if it is still known, and how old that is.
    #[must_use]
    pub fn cached_prediction(&self, query: &PredictionQuery) -> Option<CachedPrediction> {
        self.predictions.cached((self.clock)(), query)
    }

    /// What to do to learn the answers to `queries`, for a driver of one's own: those that are
    /// cached and fresh are not asked again. A client's [`Predictor`](crate::Predictor) does it.
    ///
    /// ```
    /// use std::{task::{Context, Waker}, time::{Instant, SystemTime}};
    /// use mosaicstack_telemetry::*;
    ///
    /// # let config = TelemetryConfig::builder()
    /// #     .server_url("https://tel-api.mosaicstack.dev")
    /// #     .api_key("a".repeat(64))
    /// #     .instance_id("12345678-1234-1234-1234-123456789abc")
    /// #     .build()?;
    /// # let start = Start { now: Instant::now(), wall: SystemTime::now(), seed: 7 };
    /// # let (handle, _submitter) = TelemetryHandle::with_submitter(&config, start, || {});
    /// let query = PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low);
    /// let transport = |_: Request| -> Result<Response, TransportError> {
    ///     let answer = r#"{"results": [{"prediction": null}]}"#;
    ///     Ok(Response::new(answer.into()))
    /// };
    /// let mut lookup = handle.prediction_lookup([query.clone()]);
    /// // A driver that serves more than one caller passes a waker that wakes this one.
    /// let mut cx = Context::from_waker(Waker::noop());
    /// let answers = loop {
    ///     match lookup.poll(start.now, &mut cx) {
    ///         LookupAction::Send(request, inquiry) => {
    ///             lookup.complete(start.now, start.wall, inquiry, transport.send(request));
    ///         }
    ///         LookupAction::Wait(_) => unreachable!("nobody else asks"),
    ///         LookupAction::Done(answers) => break answers?,
    ///     }
    /// };
    /// assert_eq!(answers[&query].metadata.confidence, Confidence::None);
    /// assert!(handle.prediction(&query).is_some(), "cached");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prediction_lookup(
        &self,
        queries: impl IntoIterator<Item = PredictionQuery>,
    ) -> PredictionLookup {
        PredictionLookup::new(Arc::clone(&self.predictions), queries, true)
    }

    /// As [`prediction_lookup`](Self::prediction_lookup), but all `queries` are asked, also those that
    /// are cached.
    pub fn prediction_refresh(
        &self,
        queries: impl IntoIterator<Item = PredictionQuery>,
    ) -> PredictionLookup {
        PredictionLookup::new(Arc::clone(&self.predictions), queries, false)
    }

    /// The books, at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.outbox.stats()
    }
}

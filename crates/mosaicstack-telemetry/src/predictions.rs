//! Predictions: a cache, and requests that callers share.

mod blocking;
mod cache;
mod lookup;
#[cfg(feature = "tokio")]
mod nonblocking;
mod shared;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use telemetry_model::{PredictionQuery, PredictionResponse};

#[cfg(feature = "tokio")]
pub use self::nonblocking::AsyncPredictions;
use self::shared::Shared;
pub use self::{
    blocking::Predictions,
    lookup::{LookupAction, PendingQuery, PredictionLookup},
};
use crate::config::TelemetryConfig;

/// Answers by query.
pub(crate) type Answers = HashMap<PredictionQuery, Arc<PredictionResponse>>;

/// A cached answer and its age.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CachedPrediction {
    /// The server's answer. Its `prediction` is `None` if the server has no data.
    pub response: Arc<PredictionResponse>,
    /// The time since the answer, by the monotonic clock or the calendar, whichever is greater: not every
    /// monotonic clock runs while the machine is suspended.
    pub age: Duration,
    /// True if the age is below
    /// [`prediction_cache_ttl`](crate::TelemetryConfigBuilder::prediction_cache_ttl), or
    /// [`no_data_cache_ttl`](crate::TelemetryConfigBuilder::no_data_cache_ttl) for an answer without a
    /// prediction. An answer that is not fresh is stale, and still here until newer answers need its
    /// place (1,000 in all).
    pub is_fresh: bool,
}

/// The prediction cache, and the start of lookups, for a custom driver.
///
/// Clones share the cache, and lookups of one cache share their requests: a query in flight is
/// waited for instead of being sent again, unless its request exceeds the request time-out.
///
/// ```
/// use std::{task::{Context, Waker}, time::{Instant, SystemTime}};
/// use mosaicstack_telemetry::{
///     Complexity, Confidence, PredictionQuery, Provider, TaskType, TelemetryConfig, sans_io::*,
///     transport::*,
/// };
///
/// # let config = TelemetryConfig::builder()
/// #     .server_url("https://tel-api.mosaicstack.dev")
/// #     .api_key("a".repeat(64))
/// #     .instance_id("12345678-1234-1234-1234-123456789abc")
/// #     .build()?;
/// let (now, wall) = (Instant::now(), SystemTime::now());
/// let cache = PredictionCache::new(&config);
/// let query = PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low);
/// let transport = |_: Request| -> Result<Response, TransportError> {
///     Ok(Response::new(r#"{"results": [{"prediction": null}]}"#.into()))
/// };
/// let mut lookup = cache.lookup([query.clone()]);
/// // A driver that serves several callers passes a waker that wakes this one.
/// let mut cx = Context::from_waker(Waker::noop());
/// let answers = loop {
///     match lookup.poll(now, wall, &mut cx) {
///         LookupAction::Send(request, pending) => {
///             pending.complete(now, wall, transport.send(request));
///         }
///         LookupAction::Wait(_) => unreachable!("no other lookup is running"),
///         LookupAction::Done(answers) => break answers?,
///     }
/// };
/// assert_eq!(answers[&query].metadata.confidence, Confidence::None);
/// assert!(cache.cached(now, wall, &query).is_some_and(|cached| cached.is_fresh));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PredictionCache(Arc<Shared>);

impl PredictionCache {
    /// Creates an empty cache. Sends nothing if telemetry is disabled or in a dry run: lookups then
    /// succeed without answers.
    #[must_use]
    pub fn new(config: &TelemetryConfig) -> Self {
        Self(Arc::new(Shared::new(config)))
    }

    /// The cached answer to a query, fresh or stale. `wall` is the calendar time.
    #[must_use]
    pub fn cached(
        &self,
        now: Instant,
        wall: SystemTime,
        query: &PredictionQuery,
    ) -> Option<CachedPrediction> {
        self.0.cached((now, wall), query)
    }

    /// Starts a lookup. Fresh answers are taken from the cache.
    pub fn lookup(&self, queries: impl IntoIterator<Item = PredictionQuery>) -> PredictionLookup {
        PredictionLookup::new(Arc::clone(&self.0), queries, true)
    }

    /// Starts a lookup that asks the server for all of `queries`.
    pub fn refresh(&self, queries: impl IntoIterator<Item = PredictionQuery>) -> PredictionLookup {
        PredictionLookup::new(Arc::clone(&self.0), queries, false)
    }
}

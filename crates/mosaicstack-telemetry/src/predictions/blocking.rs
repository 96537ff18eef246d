//! Predictions for blocking callers.

use std::{fmt, sync::Arc};

use telemetry_model::{PredictionQuery, PredictionResponse};
use telemetry_transport::Transport;

use super::{Answers, CachedPrediction, LookupAction, PredictionCache, PredictionLookup};
use crate::{
    clock,
    config::TelemetryConfig,
    error::PredictionError,
    event_buffer::EventBuffer,
    worker::{ClientCore, Process, Wait, block_on, thread},
};

/// Asks the server for predictions, on the calling thread.
///
/// Returned by [`TelemetryClient::predictions`](crate::TelemetryClient::predictions). Cloning is
/// cheap; clones share the client's cache, and a query that several callers ask for at once is sent
/// once. May outlive its client.
#[derive(Clone)]
pub struct Predictions {
    cache: PredictionCache,
    transport: Arc<dyn Transport>,
    /// Counts panics of the transport.
    buffer: Arc<EventBuffer>,
    process: Process,
}

impl Predictions {
    pub(crate) fn new(
        config: &TelemetryConfig,
        transport: Arc<dyn Transport>,
        core: &ClientCore,
    ) -> Self {
        let cache = PredictionCache::new(config);
        Self { cache, transport, buffer: Arc::clone(&core.handle.buffer), process: core.process }
    }

    /// The prediction for a query: from the cache if it is fresh, otherwise from the server.
    ///
    /// The answer's `prediction` is `None` if the server has no data, and, without a request, if
    /// telemetry is disabled or in a dry run.
    ///
    /// # Errors
    ///
    /// As for [`refresh`](Self::refresh). [`cached`](Self::cached) may have a stale answer.
    pub fn get(&self, query: &PredictionQuery) -> Result<Arc<PredictionResponse>, PredictionError> {
        let lookup = self.cache.lookup([query.clone()]);
        self.run(lookup).map(|mut answers| answers.remove(query).unwrap_or_default())
    }

    /// As [`get`](Self::get) for several queries, for example the models to choose from. Returns the
    /// answers in the order of `queries`; up to 50 queries go into one request.
    ///
    /// # Errors
    ///
    /// As for [`refresh`](Self::refresh).
    pub fn get_all(
        &self,
        queries: &[PredictionQuery],
    ) -> Result<Vec<Arc<PredictionResponse>>, PredictionError> {
        let answers = self.run(self.cache.lookup(queries.iter().cloned()))?;
        let answer = |query| answers.get(query).cloned().unwrap_or_default();
        Ok(queries.iter().map(answer).collect())
    }

    /// Asks the server for all of `queries`, also those with a fresh answer, and caches the answers.
    ///
    /// Takes up to the configured `request_timeout` for each 50 queries, and as long again if it waits
    /// for a request of another caller that is given up. A failed request is not retried, except
    /// once if the server closed the connection. Succeeds
    /// without a request if telemetry is disabled or in a dry run.
    ///
    /// # Errors
    ///
    /// The first failure. The cache keeps its answers, and those that arrived before the failure;
    /// above 1,000 answers, those that expire first are removed.
    #[doc(alias = "refresh_predictions_sync")]
    pub fn refresh(&self, queries: &[PredictionQuery]) -> Result<(), PredictionError> {
        self.run(self.cache.refresh(queries.iter().cloned())).map(drop)
    }

    /// The cached answer to a query, fresh or stale, without a request. `None` also if the cache stays
    /// locked for 50 ms.
    #[doc(alias = "get_prediction")]
    #[must_use]
    pub fn cached(&self, query: &PredictionQuery) -> Option<CachedPrediction> {
        self.cache.cached(clock::now(), clock::wall(), query)
    }

    fn run(&self, mut lookup: PredictionLookup) -> Result<Answers, PredictionError> {
        if self.process.is_forked() {
            return Err(PredictionError::Forked);
        }
        loop {
            let action = block_on(|now, cx| match lookup.poll(now, clock::wall(), cx) {
                LookupAction::Wait(until) => Wait::Until(until),
                action => Wait::Ready(action),
            });
            match action {
                LookupAction::Send(request, pending) => {
                    let result = thread::send(&*self.transport, request, &self.buffer);
                    pending.complete(clock::now(), clock::wall(), result);
                }
                LookupAction::Wait(_) => {}
                LookupAction::Done(answers) => return answers,
            }
        }
    }
}

impl fmt::Debug for Predictions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predictions").finish_non_exhaustive()
    }
}

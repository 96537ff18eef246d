//! Predictions for tasks on tokio.

use std::{fmt, sync::Arc, task::Poll};

use telemetry_model::{PredictionQuery, PredictionResponse};
use telemetry_transport::{AsyncTransport, Request, Response, Timeout, TransportError};

use super::{Answers, CachedPrediction, LookupAction, PredictionCache, PredictionLookup};
use crate::{
    clock,
    config::TelemetryConfig,
    error::PredictionError,
    event_buffer::EventBuffer,
    worker::{ClientCore, Process, Wait, attempt::Attempt, runtime::Runtime},
};

/// Asks the server for predictions, awaited on tokio.
///
/// Returned by [`AsyncTelemetryClient::predictions`](crate::AsyncTelemetryClient::predictions).
/// Cloning is cheap; clones share the client's cache, and a query that several callers ask for at
/// once is sent once. May outlive its client.
///
/// Await its methods on a tokio runtime with timers. Dropping a future gives up its request; if
/// other callers wait for it, one of them asks again.
#[derive(Clone)]
pub struct AsyncPredictions {
    cache: PredictionCache,
    transport: Arc<dyn AsyncTransport>,
    /// Counts panics of the transport.
    buffer: Arc<EventBuffer>,
    runtime: Runtime,
    process: Process,
}

impl AsyncPredictions {
    pub(crate) fn new(
        config: &TelemetryConfig,
        transport: Arc<dyn AsyncTransport>,
        runtime: Runtime,
        core: &ClientCore,
    ) -> Self {
        let cache = PredictionCache::new(config);
        let buffer = Arc::clone(&core.handle.buffer);
        Self { cache, transport, buffer, runtime, process: core.process }
    }

    /// The prediction for a query: from the cache if it is fresh, otherwise from the server.
    ///
    /// The answer's `prediction` is `None` if the server has no data, and, without a request, if
    /// telemetry is disabled or in a dry run.
    ///
    /// # Errors
    ///
    /// As for [`refresh`](Self::refresh). [`cached`](Self::cached) may have a stale answer.
    pub async fn get(
        &self,
        query: &PredictionQuery,
    ) -> Result<Arc<PredictionResponse>, PredictionError> {
        let lookup = self.cache.lookup([query.clone()]);
        self.run(lookup).await.map(|mut answers| answers.remove(query).unwrap_or_default())
    }

    /// As [`get`](Self::get) for several queries, for example the models to choose from. Returns the
    /// answers in the order of `queries`; up to 50 queries go into one request.
    ///
    /// # Errors
    ///
    /// As for [`refresh`](Self::refresh).
    pub async fn get_all(
        &self,
        queries: &[PredictionQuery],
    ) -> Result<Vec<Arc<PredictionResponse>>, PredictionError> {
        let answers = self.run(self.cache.lookup(queries.iter().cloned())).await?;
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
    /// The first failure, or at once [`PredictionError::Transport`] outside a tokio runtime. The cache
    /// keeps its answers, and those that arrived before the failure; above 1,000 answers, those that
    /// expire first are removed.
    #[doc(alias = "refresh_predictions")]
    pub async fn refresh(&self, queries: &[PredictionQuery]) -> Result<(), PredictionError> {
        self.run(self.cache.refresh(queries.iter().cloned())).await.map(drop)
    }

    /// The cached answer to a query, fresh or stale, without a request. `None` also if the cache stays
    /// locked for 50 ms.
    #[doc(alias = "get_prediction")]
    #[must_use]
    pub fn cached(&self, query: &PredictionQuery) -> Option<CachedPrediction> {
        self.cache.cached(clock::tokio_now(), clock::wall(), query)
    }

    async fn run(&self, mut lookup: PredictionLookup) -> Result<Answers, PredictionError> {
        if self.process.is_forked() {
            return Err(PredictionError::Forked);
        }
        loop {
            let action = self.runtime.wait(|now, cx| match lookup.poll(now, clock::wall(), cx) {
                LookupAction::Wait(until) => Wait::Until(until),
                action => Wait::Ready(action),
            });
            match action.await {
                // Without a runtime, a silent server would hold up the caller for ever.
                LookupAction::Send(..) if !self.runtime.is_available() => {
                    let error = "predictions need a tokio runtime";
                    return Err(PredictionError::Transport(TransportError::other(error)));
                }
                LookupAction::Send(request, pending) => {
                    let result = self.send(request).await;
                    pending.complete(clock::tokio_now(), clock::wall(), result);
                }
                LookupAction::Wait(_) => {}
                LookupAction::Done(answers) => return answers,
            }
        }
    }

    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let expires = clock::after(clock::tokio_now(), Timeout::of(&request));
        let mut attempt = Attempt::start(&*self.transport, request, &self.runtime, &self.buffer);
        let result = self.runtime.wait(|now, cx| match attempt.poll(cx) {
            Poll::Ready(result) => Wait::Ready(result),
            Poll::Pending if now >= expires => Wait::Ready(Err(TransportError::Timeout)),
            Poll::Pending => Wait::Until(expires),
        });
        result.await
    }
}

impl fmt::Debug for AsyncPredictions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncPredictions").finish_non_exhaustive()
    }
}

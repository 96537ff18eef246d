//! Asking for predictions on the calling thread.

use std::{fmt, sync::Arc};

use telemetry_model::{PredictionQuery, PredictionResponse};
use telemetry_transport::Transport;

use super::worker;
use crate::{
    LookupAction, PredictionError, PredictionLookup, TelemetryHandle, clock,
    predictions::Answers,
    process::Process,
    wait::{self, Wait},
};

/// Asks the server for predictions, for a [`TelemetryClient`](crate::TelemetryClient).
///
/// Cheap to clone, and all clones are one: they share the client's cache, and what is asked for by
/// several at once is asked for once. It may outlive its client.
#[derive(Clone)]
pub struct Predictor {
    handle: TelemetryHandle,
    transport: Arc<dyn Transport>,
    process: Process,
}

impl Predictor {
    pub(super) const fn new(
        handle: TelemetryHandle,
        transport: Arc<dyn Transport>,
        process: Process,
    ) -> Self {
        Self { handle, transport, process }
    }

    /// What the server predicts: from the cache if that is fresh, else it is asked, once for all
    /// that want to know at the same time.
    ///
    /// The server may have no data; then the answer's `prediction` is none. So it is, without
    /// asking, if telemetry is disabled or in a dry run.
    ///
    /// # Errors
    ///
    /// As [`refresh`](Self::refresh). [`TelemetryHandle::cached_prediction`] may have an older
    /// answer.
    pub fn predict(
        &self,
        query: &PredictionQuery,
    ) -> Result<Arc<PredictionResponse>, PredictionError> {
        let lookup = self.handle.prediction_lookup([query.clone()]);
        self.run(lookup).map(|mut answers| answers.remove(query).unwrap_or_default())
    }

    /// As [`predict`](Self::predict) for several queries, say the models to choose from; the answers are
    /// in their order. What has to be asked goes into one request for each 50.
    ///
    /// # Errors
    ///
    /// As [`refresh`](Self::refresh).
    pub fn predict_all(
        &self,
        queries: &[PredictionQuery],
    ) -> Result<Vec<Arc<PredictionResponse>>, PredictionError> {
        let answers = self.run(self.handle.prediction_lookup(queries.iter().cloned()))?;
        let answer = |query| answers.get(query).cloned().unwrap_or_default();
        Ok(queries.iter().map(answer).collect())
    }

    /// Asks for all of `queries`, also those that are cached and fresh, and caches the answers.
    ///
    /// Takes up to the configured `request_timeout` for each 50 queries; each is asked once, since
    /// the caller knows best whether to try again. Asks nothing and succeeds if telemetry is
    /// disabled or in a dry run.
    ///
    /// # Errors
    ///
    /// The first failure; what was cached stays, and so does what was answered before it. Of more
    /// than 1,000 answers, those that expire first are forgotten.
    #[doc(alias = "refresh_predictions_sync")]
    pub fn refresh(&self, queries: &[PredictionQuery]) -> Result<(), PredictionError> {
        self.run(self.handle.prediction_refresh(queries.iter().cloned())).map(drop)
    }

    fn run(&self, mut lookup: PredictionLookup) -> Result<Answers, PredictionError> {
        if self.process.is_forked() {
            return Err(PredictionError::Forked);
        }
        loop {
            let action = wait::block_on(|now, cx| match lookup.poll(now, cx) {
                LookupAction::Wait(until) => Wait::Until(until),
                action => Wait::Ready(action),
            });
            match action {
                LookupAction::Send(request, inquiry) => {
                    let outbox = &self.handle.outbox;
                    let result = worker::send(&*self.transport, request, outbox);
                    lookup.complete(clock::now(), clock::wall(), inquiry, result);
                }
                LookupAction::Wait(_) => {}
                LookupAction::Done(answers) => return answers,
            }
        }
    }
}

impl fmt::Debug for Predictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predictor").finish_non_exhaustive()
    }
}

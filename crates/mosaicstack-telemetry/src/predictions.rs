//! Predictions: what is known, how fresh it is, and what to ask for.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;
use telemetry_model::{PredictionQuery, PredictionRequest, PredictionResponse};
use telemetry_transport::{Request, Response, TransportError};

use crate::{
    PredictionError, TelemetryConfig, Verdict, clock,
    protocol::{self, Protocol},
};

/// The most predictions that are kept.
const MAX_CACHED: usize = 1_000;

/// The cache, and the gate of its own that the server can close.
#[derive(Debug)]
pub(crate) struct Predictions {
    protocol: Option<Protocol>,
    timeout: Duration,
    ttl: Duration,
    max_retry_after: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cached: HashMap<PredictionQuery, Cached>,
    closed_until: Option<Instant>,
}

#[derive(Debug)]
struct Cached {
    response: Arc<PredictionResponse>,
    expires: Instant,
}

impl Predictions {
    pub(crate) fn new(config: &TelemetryConfig) -> Self {
        let server = config.server.as_ref().filter(|_| !config.dry_run);
        Self {
            protocol: server.map(Protocol::new),
            timeout: config.request_timeout,
            ttl: config.prediction_cache_ttl,
            max_retry_after: config.retry_policy.max_retry_after,
            state: Mutex::default(),
        }
    }

    /// What is known and fresh.
    pub(crate) fn fresh(
        &self,
        now: Instant,
        query: &PredictionQuery,
    ) -> Option<Arc<PredictionResponse>> {
        let state = self.state.lock();
        let cached = state.cached.get(query).filter(|cached| now < cached.expires)?;
        Some(Arc::clone(&cached.response))
    }

    /// The requests that ask for all of `queries`, each with those that it asks.
    pub(crate) fn requests<'a>(
        &self,
        queries: &'a [PredictionQuery],
    ) -> impl Iterator<Item = (&'a [PredictionQuery], Request)> {
        // Without a server there is nobody to ask.
        self.protocol.as_ref().into_iter().flat_map(|protocol| {
            queries
                .chunks(PredictionRequest::MAX_QUERIES)
                .map(|chunk| (chunk, protocol.predict(chunk, self.timeout)))
        })
    }

    /// Fails while the server wants to be left alone.
    pub(crate) fn check_gate(&self, now: Instant) -> Result<(), PredictionError> {
        match self.state.lock().closed_until {
            Some(until) if now < until => Err(PredictionError::Paused(until - now)),
            _ => Ok(()),
        }
    }

    /// Takes in the answer to `queries`. A failure leaves what is cached.
    pub(crate) fn complete(
        &self,
        now: Instant,
        wall: SystemTime,
        queries: &[PredictionQuery],
        result: Result<Response, TransportError>,
    ) -> Result<(), PredictionError> {
        if let Verdict::Transient { retry_after: Some(wait) } = Verdict::of(&result, wall) {
            let until = clock::after(now, wait.min(self.max_retry_after));
            self.state.lock().closed_until = Some(until);
        }
        let response = result.map_err(PredictionError::Transport)?;
        if !response.status().is_success() {
            return Err(PredictionError::Refused(response.status().as_u16()));
        }
        let answers = protocol::predictions(response.body(), queries.len())
            .map_err(PredictionError::Unreadable)?;
        let unreadable = answers.iter().filter(|answer| answer.is_none()).count();
        let mut state = self.state.lock();
        for (query, answer) in queries.iter().zip(answers) {
            if let Some(answer) = answer {
                state.insert(now, query, answer, self.ttl);
            }
        }
        if unreadable > 0 {
            let all = queries.len();
            let reason = format!("{unreadable} of {all} answers are not readable");
            return Err(PredictionError::Unreadable(reason));
        }
        Ok(())
    }
}

impl State {
    fn insert(
        &mut self,
        now: Instant,
        query: &PredictionQuery,
        response: PredictionResponse,
        ttl: Duration,
    ) {
        if self.cached.len() >= MAX_CACHED && !self.cached.contains_key(query) {
            self.cached.retain(|_, cached| now < cached.expires);
            if self.cached.len() >= MAX_CACHED
                && let Some(first) = self.cached.iter().min_by_key(|(_, cached)| cached.expires)
            {
                let first = first.0.clone();
                self.cached.remove(&first);
            }
        }
        let cached = Cached { response: Arc::new(response), expires: clock::after(now, ttl) };
        self.cached.insert(query.clone(), cached);
    }
}

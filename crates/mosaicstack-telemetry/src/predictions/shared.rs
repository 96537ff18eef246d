//! State that all lookups of one client share: the cache, requests in flight, and a pause that the
//! server asked for.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    task::Waker,
    time::{Duration, Instant, SystemTime},
};

use telemetry_model::PredictionQuery;
use telemetry_transport::{Request, Response, TransportError};

use super::{Answers, CachedPrediction, cache::Cache};
use crate::{
    clock,
    config::TelemetryConfig,
    error::PredictionError,
    protocol::{self, DeliveryOutcome, Protocol},
    response,
    sync::Mutex,
    worker::{Process, WakerSet, wake_all},
};

/// Maximum wait of a reader of the cache for a writer, which holds the lock only to move answers.
const LOCK_TIMEOUT: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Shared {
    /// `None` if telemetry is disabled, or in a dry run.
    pub(super) protocol: Option<Protocol>,
    pub(super) timeout: Duration,
    max_retry_after: Duration,
    /// One lock decides whether an answer is fresh, whether the query is in flight, and who asks:
    /// a thousand tasks that miss the same query make one request.
    pub(super) state: Mutex<State>,
    process: Process,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) cache: Cache,
    pub(super) in_flight: HashMap<PredictionQuery, Arc<InFlight>>,
    pub(super) wakers: WakerSet,
    /// The server asked for no request before this time.
    pub(super) not_before: Option<Instant>,
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    /// Set at the end: the outcome, or `None` if the request was given up.
    pub(super) outcome: OnceLock<Option<Outcome>>,
    /// After this time, other lookups do not wait for it: its future may no longer be polled.
    pub(super) expires: Instant,
}

#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answers: Answers,
    /// Why some queries have no answer. Shared by all that waited: a thousand callers would
    /// otherwise ask a dead server one after another.
    pub(super) error: Option<PredictionError>,
}

impl Shared {
    pub(super) fn new(config: &TelemetryConfig) -> Self {
        let server = config.server.as_ref().filter(|_| !config.dry_run);
        Self {
            protocol: server.map(Protocol::new),
            timeout: config.request_timeout,
            max_retry_after: config.retry_policy.max_retry_after,
            state: Mutex::new(State {
                cache: Cache::new(config.prediction_cache_ttl, config.no_data_cache_ttl),
                in_flight: HashMap::new(),
                wakers: WakerSet::default(),
                not_before: None,
            }),
            process: Process::current(),
        }
    }

    pub(super) fn cached(
        &self,
        time: (Instant, SystemTime),
        query: &PredictionQuery,
    ) -> Option<CachedPrediction> {
        // In a forked child, a thread of the parent may hold the lock for ever.
        let timeout = || (!self.process.is_forked()).then_some(LOCK_TIMEOUT);
        let wait = || self.state.try_lock_for(timeout()?);
        self.state.try_lock().or_else(wait)?.cache.read(time, query)
    }

    /// Handles the result of the request for `queries`. A failure leaves the cache as it is.
    pub(super) fn complete(
        &self,
        (now, wall): (Instant, SystemTime),
        queries: &[PredictionQuery],
        request: &Arc<InFlight>,
        result: Result<Response, TransportError>,
    ) {
        let pause = match DeliveryOutcome::of(&result, wall) {
            DeliveryOutcome::Retry { retry_after } => retry_after,
            _ => None,
        };
        let outcome = read(queries, result);
        let wakers = {
            let mut state = self.state.lock();
            if let Some(wait) = pause {
                let until = clock::after(now, wait.min(self.max_retry_after));
                state.not_before = state.not_before.max(Some(until));
            }
            state.cache.store((now, wall), &outcome.answers);
            state.end(queries, request, Some(outcome))
        };
        wake_all(wakers);
    }

    /// Gives up a request. One of the lookups that waited for it asks again.
    pub(super) fn abandon(&self, queries: &[PredictionQuery], request: &Arc<InFlight>) {
        let wakers = self.state.lock().end(queries, request, None);
        wake_all(wakers);
    }

    pub(super) fn request(&self, queries: &[PredictionQuery]) -> Request {
        let request = |protocol: &Protocol| protocol.predict(queries, self.timeout);
        // Without a protocol no query is ever open.
        self.protocol.as_ref().map(request).unwrap_or_default()
    }
}

impl State {
    fn end(
        &mut self,
        queries: &[PredictionQuery],
        request: &Arc<InFlight>,
        outcome: Option<Outcome>,
    ) -> Vec<Waker> {
        for query in queries {
            // A later request may have replaced one that has expired.
            if self.in_flight.get(query).is_some_and(|it| Arc::ptr_eq(it, request)) {
                self.in_flight.remove(query);
            }
        }
        // Set once: the `PendingQuery` is consumed by its completion.
        let _ = request.outcome.set(outcome);
        self.wakers.take()
    }
}

fn read(queries: &[PredictionQuery], result: Result<Response, TransportError>) -> Outcome {
    let answers = result.map_err(PredictionError::Transport).and_then(|response| {
        if !response.status().is_success() {
            let (status, reason) = (response.status(), response::reason(&response));
            return Err(PredictionError::Refused { status, reason });
        }
        protocol::predictions(response.body(), queries.len())
    });
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => return Outcome { answers: Answers::new(), error: Some(error) },
    };
    let read =
        |(query, answer): (&PredictionQuery, Option<_>)| Some((query.clone(), Arc::new(answer?)));
    let answers: Answers = queries.iter().zip(answers).filter_map(read).collect();
    let (all, unreadable) = (queries.len(), queries.len() - answers.len());
    let error = (unreadable > 0).then(|| {
        PredictionError::Unreadable(format!("{unreadable} of {all} answers are not readable"))
    });
    Outcome { answers, error }
}

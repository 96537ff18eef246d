//! Predictions: what is known, how fresh it is, and who asks for the rest.

mod cache;
mod lookup;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    task::Waker,
    time::{Duration, Instant, SystemTime},
};

use telemetry_model::{PredictionQuery, PredictionResponse};
use telemetry_transport::{Request, Response, TransportError};

use self::cache::Cache;
pub use self::{
    cache::CachedPrediction,
    lookup::{Inquiry, LookupAction, PredictionLookup},
};
use crate::{
    DeliveryOutcome, PredictionError, TelemetryConfig, clock,
    process::Process,
    protocol::{self, Protocol},
    sync::Mutex,
    wait::{self, Waiters},
};

/// Answers by their queries.
pub(crate) type Answers = HashMap<PredictionQuery, Arc<PredictionResponse>>;

/// How long a reader waits for a writer, who only ever holds the lock to move answers in.
const PATIENCE: Duration = Duration::from_millis(50);

/// The cache, what is being asked, and the gate of its own that the server can close.
#[derive(Debug)]
pub(crate) struct Predictions {
    /// None without a server to ask: disabled, or a dry run.
    protocol: Option<Protocol>,
    timeout: Duration,
    max_retry_after: Duration,
    state: Mutex<State>,
    process: Process,
}

#[derive(Debug)]
struct State {
    cache: Cache,
    /// The request that is under way for a query.
    flights: HashMap<PredictionQuery, Arc<Flight>>,
    waiters: Waiters,
    closed_until: Option<Instant>,
}

/// A request under way, and once it has landed, what it brought; none if it was given up.
#[derive(Debug)]
struct Flight {
    landed: OnceLock<Option<Landed>>,
    /// From then on, it is not waited for: whoever asks has left it to itself.
    expires: Instant,
}

#[derive(Debug)]
struct Landed {
    answers: Answers,
    /// Why queries are not among the answers.
    error: Option<PredictionError>,
}

impl Predictions {
    pub(crate) fn new(config: &TelemetryConfig) -> Self {
        let server = config.server.as_ref().filter(|_| !config.dry_run);
        Self {
            protocol: server.map(Protocol::new),
            timeout: config.request_timeout,
            max_retry_after: config.retry_policy.max_retry_after,
            state: Mutex::new(State {
                cache: Cache::new(config.prediction_cache_ttl, config.no_data_cache_ttl),
                flights: HashMap::new(),
                waiters: Waiters::default(),
                closed_until: None,
            }),
            process: Process::current(),
        }
    }

    /// What is known, fresh or not.
    pub(crate) fn cached(&self, now: Instant, query: &PredictionQuery) -> Option<CachedPrediction> {
        // In a forked child, whoever holds the lock may be in the parent, and it is never free.
        let patience = || (!self.process.is_forked()).then_some(PATIENCE);
        let wait = || self.state.try_lock_for(patience()?);
        self.state.try_lock().or_else(wait)?.cache.read(now, query)
    }

    /// What is known and fresh.
    pub(crate) fn fresh(
        &self,
        now: Instant,
        query: &PredictionQuery,
    ) -> Option<Arc<PredictionResponse>> {
        self.cached(now, query).filter(|cached| cached.is_fresh).map(|cached| cached.response)
    }

    /// Takes in the answer to `queries`, and ends their flight. A failure leaves what is cached.
    fn land(
        &self,
        (now, wall): (Instant, SystemTime),
        queries: &[PredictionQuery],
        flight: &Arc<Flight>,
        result: Result<Response, TransportError>,
    ) {
        let pause = match DeliveryOutcome::of(&result, wall) {
            DeliveryOutcome::Retry { retry_after } => retry_after,
            _ => None,
        };
        let landed = read(queries, result);
        let waiters = {
            let mut state = self.state.lock();
            if let Some(wait) = pause {
                let until = clock::after(now, wait.min(self.max_retry_after));
                state.closed_until = state.closed_until.max(Some(until));
            }
            state.cache.store(now, &landed.answers);
            state.end(queries, flight, Some(landed))
        };
        wait::wake_all(waiters);
    }

    /// Ends a flight that was given up: whoever waits for it may ask.
    fn abandon(&self, queries: &[PredictionQuery], flight: &Arc<Flight>) {
        let waiters = self.state.lock().end(queries, flight, None);
        wait::wake_all(waiters);
    }

    /// There is a server when there is something to ask.
    fn request(&self, queries: &[PredictionQuery]) -> Request {
        let request = |protocol: &Protocol| protocol.predict(queries, self.timeout);
        self.protocol.as_ref().map(request).unwrap_or_default()
    }
}

impl State {
    fn end(
        &mut self,
        queries: &[PredictionQuery],
        flight: &Arc<Flight>,
        outcome: Option<Landed>,
    ) -> Vec<Waker> {
        for query in queries {
            // Another may have taken its place.
            if self.flights.get(query).is_some_and(|it| Arc::ptr_eq(it, flight)) {
                self.flights.remove(query);
            }
        }
        // It ends once: an inquiry is consumed by its completion.
        let _ = flight.landed.set(outcome);
        self.waiters.take()
    }
}

/// What an answer brought.
fn read(queries: &[PredictionQuery], result: Result<Response, TransportError>) -> Landed {
    let answers = result.map_err(PredictionError::Transport).and_then(|response| {
        if !response.status().is_success() {
            return Err(PredictionError::Refused(response.status().as_u16()));
        }
        protocol::predictions(response.body(), queries.len()).map_err(PredictionError::Unreadable)
    });
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => return Landed { answers: Answers::new(), error: Some(error) },
    };
    let read =
        |(query, answer): (&PredictionQuery, Option<_>)| Some((query.clone(), Arc::new(answer?)));
    let answers: Answers = queries.iter().zip(answers).filter_map(read).collect();
    let (all, unreadable) = (queries.len(), queries.len() - answers.len());
    let error = (unreadable > 0).then(|| {
        PredictionError::Unreadable(format!("{unreadable} of {all} answers are not readable"))
    });
    Landed { answers, error }
}

//! Asking for predictions, without doing it: each query once, however many want to know.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt, mem,
    sync::{Arc, OnceLock},
    task::Context,
    time::{Instant, SystemTime},
};

use telemetry_model::{PredictionQuery, PredictionRequest, PredictionResponse};
use telemetry_transport::{Request, Response, TransportError};

use super::{Answers, Flight, Predictions, State};
use crate::{PredictionError, clock, wait::Place};

/// What whoever carries out a lookup has to do next.
#[must_use = "a lookup goes on when it is done"]
#[expect(clippy::large_enum_variant, reason = "moved once, and a request is what it is for")]
pub enum LookupAction {
    /// Send the request, then call [`PredictionLookup::complete`] with the inquiry and the result.
    /// Dropping the inquiry gives it up; then whoever else wants the answer may ask.
    Send(Request, Inquiry),
    /// Others are asking already: call [`PredictionLookup::poll`] again when woken, and at that time
    /// at the latest.
    Wait(Instant),
    /// All queries are answered, or one could not be. Without a server to ask (telemetry is disabled,
    /// or it is a dry run) there are no answers.
    Done(Result<HashMap<PredictionQuery, Arc<PredictionResponse>>, PredictionError>),
}

/// Finds out what the server predicts, without I/O and in virtual time.
///
/// Made by [`TelemetryHandle::prediction_lookup`](crate::TelemetryHandle::prediction_lookup) and
/// [`TelemetryHandle::prediction_refresh`](crate::TelemetryHandle::prediction_refresh).
/// Lookups of one handle share what they ask for: a query that is under way is waited for and not
/// asked again, unless it takes longer than a request may. Up to [`PredictionRequest::MAX_QUERIES`]
/// queries go into a request, one request after the other.
#[derive(Debug)]
#[must_use = "a lookup finds out nothing unless it is polled"]
pub struct PredictionLookup {
    predictions: Arc<Predictions>,
    /// Whether an answer in the cache will do, as long as it is fresh.
    takes_cached: bool,
    open: VecDeque<PredictionQuery>,
    joined: Vec<(PredictionQuery, Arc<Flight>)>,
    answers: Answers,
    error: Option<PredictionError>,
    /// Until when to wait for the others.
    patience: Option<Instant>,
    place: Place,
}

/// A request for predictions that is under way.
#[must_use = "dropping it gives the inquiry up"]
pub struct Inquiry {
    predictions: Arc<Predictions>,
    queries: Vec<PredictionQuery>,
    flight: Arc<Flight>,
}

impl PredictionLookup {
    pub(crate) fn new(
        predictions: Arc<Predictions>,
        queries: impl IntoIterator<Item = PredictionQuery>,
        takes_cached: bool,
    ) -> Self {
        let mut open: VecDeque<PredictionQuery> = VecDeque::new();
        // Without a server there is nobody to ask.
        if predictions.protocol.is_some() {
            let mut seen = HashSet::new();
            open.extend(queries.into_iter().filter(|query| seen.insert(query.clone())));
        }
        Self {
            open,
            predictions,
            takes_cached,
            joined: Vec::new(),
            answers: Answers::new(),
            error: None,
            patience: None,
            place: None,
        }
    }

    /// What to do now. The waker of `cx` is called when others have landed.
    pub fn poll(&mut self, now: Instant, cx: &mut Context<'_>) -> LookupAction {
        let predictions = Arc::clone(&self.predictions);
        let mut state = predictions.state.lock();
        self.collect();
        let asked = self.claim(now, &mut state);
        if let Some(error) = self.error.take() {
            return LookupAction::Done(Err(error));
        }
        let patience = clock::after(now, predictions.timeout);
        if !asked.is_empty() {
            let flight = Arc::new(Flight { landed: OnceLock::new(), expires: patience });
            for query in &asked {
                state.flights.insert(query.clone(), Arc::clone(&flight));
                self.joined.push((query.clone(), Arc::clone(&flight)));
            }
            drop(state);
            // Before anything else can go wrong: dropped, it ends the flight.
            let inquiry = Inquiry { predictions, queries: asked, flight };
            let request = inquiry.predictions.request(&inquiry.queries);
            return LookupAction::Send(request, inquiry);
        }
        if self.joined.is_empty() {
            return LookupAction::Done(Ok(mem::take(&mut self.answers)));
        }
        // As long as the others' request may take.
        let until = *self.patience.get_or_insert(patience);
        if now >= until {
            return LookupAction::Done(Err(PredictionError::Transport(TransportError::Timeout)));
        }
        let replaced = state.waiters.register(&mut self.place, cx);
        drop(state);
        drop(replaced);
        LookupAction::Wait(until)
    }

    /// Takes in what became of a request. `wall` is the time on the calendar.
    pub fn complete(
        &mut self,
        now: Instant,
        wall: SystemTime,
        mut inquiry: Inquiry,
        result: Result<Response, TransportError>,
    ) {
        let queries = mem::take(&mut inquiry.queries);
        inquiry.predictions.land((now, wall), &queries, &inquiry.flight, result);
    }

    /// Takes over what flights have brought.
    fn collect(&mut self) {
        for (query, flight) in mem::take(&mut self.joined) {
            match flight.landed.get() {
                None => self.joined.push((query, flight)),
                Some(None) => {
                    self.open.push_back(query);
                    self.patience = None;
                }
                Some(Some(landed)) => {
                    self.patience = None;
                    if let Some(answer) = landed.answers.get(&query) {
                        self.answers.insert(query, Arc::clone(answer));
                    } else if self.error.is_none() {
                        self.error.clone_from(&landed.error);
                    }
                }
            }
        }
    }

    /// What is open and nobody asks; or the error that keeps it from being asked.
    fn claim(&mut self, now: Instant, state: &mut State) -> Vec<PredictionQuery> {
        let mut asked = Vec::new();
        while asked.len() < PredictionRequest::MAX_QUERIES
            && self.error.is_none()
            && let Some(query) = self.open.pop_front()
        {
            let cached = state.cache.read(now, &query);
            if let Some(cached) = cached.filter(|cached| self.takes_cached && cached.is_fresh) {
                self.answers.insert(query, cached.response);
            } else if let Some(flight) = state.flights.get(&query).filter(|it| now < it.expires) {
                self.joined.push((query, Arc::clone(flight)));
            } else if let Some(until) = state.closed_until.filter(|until| now < *until) {
                self.error = Some(PredictionError::Paused(until - now));
            } else {
                asked.push(query);
            }
        }
        asked
    }
}

impl Drop for PredictionLookup {
    fn drop(&mut self) {
        if self.place.is_some() {
            let waker = self.predictions.state.lock().waiters.remove(self.place);
            drop(waker);
        }
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        // Empty once it is complete.
        if !self.queries.is_empty() {
            self.predictions.abandon(&self.queries, &self.flight);
        }
    }
}

impl fmt::Debug for LookupAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(_, inquiry) => f.debug_tuple("Send").field(inquiry).finish(),
            Self::Wait(until) => f.debug_tuple("Wait").field(until).finish(),
            Self::Done(result) => f.debug_tuple("Done").field(result).finish(),
        }
    }
}

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inquiry").field("queries", &self.queries).finish_non_exhaustive()
    }
}

//! Lookup of predictions in virtual time and without I/O.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt, mem,
    sync::{Arc, OnceLock},
    task::Context,
    time::{Instant, SystemTime},
};

use telemetry_model::{PredictionQuery, PredictionRequest, PredictionResponse};
use telemetry_transport::{Request, Response, TransportError};

use super::{
    Answers,
    shared::{InFlight, Shared, State},
};
use crate::{clock, error::PredictionError, worker::WakerKey};

/// The next action of a lookup's driver.
#[must_use = "a driver carries it out"]
#[expect(clippy::large_enum_variant, reason = "moved once, and a request is what it is for")]
pub enum LookupAction {
    /// Send the request, then call [`PendingQuery::complete`] with the result. Dropping the
    /// pending query gives up the request; a lookup that waits for it asks again.
    Send(Request, PendingQuery),
    /// Other lookups have these queries in flight: call [`PredictionLookup::poll`] again when woken,
    /// and at that time at the latest.
    Wait(Instant),
    /// All queries are answered, or one has failed. There are no answers if telemetry is disabled
    /// or in a dry run.
    Done(Result<HashMap<PredictionQuery, Arc<PredictionResponse>>, PredictionError>),
}

/// A lookup of one or more queries.
///
/// Created by [`PredictionCache::lookup`](super::PredictionCache::lookup) and
/// [`PredictionCache::refresh`](super::PredictionCache::refresh). Up to
/// [`PredictionRequest::MAX_QUERIES`] queries go into one request; requests are sent one after the
/// other.
#[derive(Debug)]
#[must_use = "a lookup does nothing unless polled"]
pub struct PredictionLookup {
    shared: Arc<Shared>,
    /// Take a fresh answer from the cache.
    takes_cached: bool,
    /// Queries without an answer that no request is in flight for.
    open: VecDeque<PredictionQuery>,
    /// Queries in flight, by this lookup or another one.
    waiting: Vec<(PredictionQuery, Arc<InFlight>)>,
    answers: Answers,
    error: Option<PredictionError>,
    /// Until when to wait for requests of other lookups.
    give_up_at: Option<Instant>,
    key: WakerKey,
}

/// The queries of a request in flight.
#[must_use = "dropping it gives up the request"]
pub struct PendingQuery {
    shared: Arc<Shared>,
    /// Empty once complete.
    queries: Vec<PredictionQuery>,
    request: Arc<InFlight>,
}

impl PendingQuery {
    /// Handles the result of the request. `wall` is the calendar time.
    pub fn complete(
        mut self,
        now: Instant,
        wall: SystemTime,
        result: Result<Response, TransportError>,
    ) {
        let queries = mem::take(&mut self.queries);
        self.shared.complete((now, wall), &queries, &self.request, result);
    }
}

impl PredictionLookup {
    pub(super) fn new(
        shared: Arc<Shared>,
        queries: impl IntoIterator<Item = PredictionQuery>,
        takes_cached: bool,
    ) -> Self {
        let mut open: VecDeque<PredictionQuery> = VecDeque::new();
        if shared.protocol.is_some() {
            let mut seen = HashSet::new();
            open.extend(queries.into_iter().filter(|query| seen.insert(query.clone())));
        }
        Self {
            open,
            shared,
            takes_cached,
            waiting: Vec::new(),
            answers: Answers::new(),
            error: None,
            give_up_at: None,
            key: None,
        }
    }

    /// Returns the next action. `wall` is the calendar time. The waker of `cx` is called when a request
    /// of another lookup ends.
    pub fn poll(&mut self, now: Instant, wall: SystemTime, cx: &mut Context<'_>) -> LookupAction {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        self.collect();
        let queries = self.claim((now, wall), &mut state);
        if let Some(error) = self.error.take() {
            return LookupAction::Done(Err(error));
        }
        let expires = clock::after(now, shared.timeout);
        if !queries.is_empty() {
            let request = Arc::new(InFlight { outcome: OnceLock::new(), expires });
            for query in &queries {
                state.in_flight.insert(query.clone(), Arc::clone(&request));
                self.waiting.push((query.clone(), Arc::clone(&request)));
            }
            drop(state);
            // Created before anything can panic: dropping it ends the request.
            let pending = PendingQuery { shared, queries, request };
            let request = pending.shared.request(&pending.queries);
            return LookupAction::Send(request, pending);
        }
        if self.waiting.is_empty() {
            return LookupAction::Done(Ok(mem::take(&mut self.answers)));
        }
        // As long as the other lookup's request may take.
        let until = *self.give_up_at.get_or_insert(expires);
        if now >= until {
            return LookupAction::Done(Err(PredictionError::Transport(TransportError::Timeout)));
        }
        let replaced = state.wakers.register(&mut self.key, cx);
        drop(state);
        drop(replaced);
        LookupAction::Wait(until)
    }

    /// Takes the outcomes of requests that have ended.
    fn collect(&mut self) {
        for (query, request) in mem::take(&mut self.waiting) {
            match request.outcome.get() {
                None => self.waiting.push((query, request)),
                Some(None) => {
                    self.open.push_back(query);
                    self.give_up_at = None;
                }
                Some(Some(outcome)) => {
                    self.give_up_at = None;
                    if let Some(answer) = outcome.answers.get(&query) {
                        self.answers.insert(query, Arc::clone(answer));
                    } else if self.error.is_none() {
                        self.error.clone_from(&outcome.error);
                    }
                }
            }
        }
    }

    /// Sorts open queries into answered, in flight, and to be sent, which it returns.
    fn claim(
        &mut self,
        (now, wall): (Instant, SystemTime),
        state: &mut State,
    ) -> Vec<PredictionQuery> {
        let mut queries = Vec::new();
        while queries.len() < PredictionRequest::MAX_QUERIES
            && self.error.is_none()
            && let Some(query) = self.open.pop_front()
        {
            let cached = state.cache.read((now, wall), &query);
            if let Some(cached) = cached.filter(|cached| self.takes_cached && cached.is_fresh) {
                self.answers.insert(query, cached.response);
            } else if let Some(request) = state.in_flight.get(&query).filter(|it| now < it.expires)
            {
                self.waiting.push((query, Arc::clone(request)));
            } else if let Some(until) = state.not_before.filter(|until| now < *until) {
                self.error = Some(PredictionError::Paused(until - now));
            } else {
                queries.push(query);
            }
        }
        queries
    }
}

impl Drop for PredictionLookup {
    fn drop(&mut self) {
        if self.key.is_some() {
            let waker = self.shared.state.lock().wakers.remove(self.key);
            drop(waker);
        }
    }
}

impl Drop for PendingQuery {
    fn drop(&mut self) {
        if !self.queries.is_empty() {
            self.shared.abandon(&self.queries, &self.request);
        }
    }
}

impl fmt::Debug for LookupAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(_, pending) => f.debug_tuple("Send").field(pending).finish(),
            Self::Wait(until) => f.debug_tuple("Wait").field(until).finish(),
            Self::Done(result) => f.debug_tuple("Done").field(result).finish(),
        }
    }
}

impl fmt::Debug for PendingQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingQuery").field("queries", &self.queries).finish_non_exhaustive()
    }
}

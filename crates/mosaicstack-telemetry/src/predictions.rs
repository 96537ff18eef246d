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

/// How long a reader waits for a writer, who only ever holds the lock to move answers in. In a
/// forked child, the writer may be in the parent and the lock never free.
const PATIENCE: Duration = Duration::from_millis(50);

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
        let state = self.state.try_lock_for(PATIENCE)?;
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
        let is_new = |(query, answer): &(&_, &Option<_>)| {
            answer.is_some() && !state.cached.contains_key(*query)
        };
        let new = queries.iter().zip(&answers).filter(is_new).count();
        state.make_room(now, new);
        for (query, answer) in queries.iter().zip(answers) {
            if let Some(answer) = answer {
                let expires = clock::after(now, self.ttl);
                let cached = Cached { response: Arc::new(answer), expires };
                state.cached.insert(query.clone(), cached);
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
    /// Forgets what has expired, and then what expires next, until there is room for `more`.
    fn make_room(&mut self, now: Instant, more: usize) {
        let keep = MAX_CACHED.saturating_sub(more);
        if self.cached.len() <= keep {
            return;
        }
        self.cached.retain(|_, cached| now < cached.expires);
        let mut expiries: Vec<Instant> = self.cached.values().map(|it| it.expires).collect();
        expiries.sort_unstable();
        let mut excess = expiries.len().saturating_sub(keep);
        if let Some(last) = excess.checked_sub(1).map(|index| expiries[index]) {
            // Many can expire at once: no more of them than needed.
            self.cached.retain(|_, cached| {
                let goes = excess > 0 && cached.expires <= last;
                excess -= usize::from(goes);
                !goes
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode, header};
    use telemetry_model::{Complexity, Provider, TaskType};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn queries(from: usize, count: usize) -> Vec<PredictionQuery> {
        let query = |number| {
            let model = format!("model-{number}");
            PredictionQuery::new(TaskType::Testing, model, Provider::Openai, Complexity::Low)
        };
        (from..from + count).map(query).collect()
    }

    fn config() -> TelemetryConfig {
        let config = TelemetryConfig::builder()
            .server_url("https://example.com")
            .api_key("a".repeat(64))
            .instance_id("12345678-1234-1234-1234-123456789abc")
            .prediction_cache_ttl(60 * SECOND);
        config.build().unwrap()
    }

    fn predictions() -> Predictions {
        Predictions::new(&config())
    }

    /// Completes one query with an answer that asks for a pause.
    fn pause(predictions: &Predictions, now: Instant, status: StatusCode, wait: &'static str) {
        let mut response = Response::default();
        *response.status_mut() = status;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(wait));
        let wall = SystemTime::UNIX_EPOCH;
        predictions.complete(now, wall, &queries(0, 1), Ok(response)).unwrap_err();
    }

    fn answer(predictions: &Predictions, now: Instant, queries: &[PredictionQuery]) {
        let answers = vec![r#"{"prediction":null}"#; queries.len()].join(",");
        let body = format!("{{\"results\":[{answers}]}}").into_bytes();
        let result = Ok(http::Response::new(body));
        predictions.complete(now, SystemTime::UNIX_EPOCH, queries, result).unwrap();
    }

    fn fresh(predictions: &Predictions, now: Instant, queries: &[PredictionQuery]) -> usize {
        queries.iter().filter(|query| predictions.fresh(now, query).is_some()).count()
    }

    #[test]
    fn what_has_expired_is_not_returned() {
        let (predictions, now) = (predictions(), clock::now());
        let query = queries(0, 1);
        assert_eq!(fresh(&predictions, now, &query), 0);
        answer(&predictions, now, &query);
        assert_eq!(fresh(&predictions, now + 60 * SECOND - SECOND / 1000, &query), 1);
        assert_eq!(fresh(&predictions, now + 60 * SECOND, &query), 0);
    }

    #[test]
    fn the_cache_is_bounded_and_the_oldest_answers_make_room() {
        let (predictions, now) = (predictions(), clock::now());
        for second in 0..30 {
            answer(&predictions, now + second * SECOND, &queries(50 * second as usize, 50));
        }
        let later = now + 30 * SECOND;
        assert_eq!(fresh(&predictions, later, &queries(0, 500)), 0);
        assert_eq!(fresh(&predictions, later, &queries(500, 1_000)), 1_000);
        answer(&predictions, later, &queries(9_000, 1));
        assert_eq!(fresh(&predictions, later, &queries(500, 1_000)), 999);
    }

    #[test]
    fn what_is_cached_already_or_unreadable_needs_no_place() {
        let (predictions, now) = (predictions(), clock::now());
        for second in 0..20 {
            answer(&predictions, now + second * SECOND, &queries(50 * second as usize, 50));
        }
        let later = now + 30 * SECOND;
        answer(&predictions, later, &queries(950, 50));
        assert_eq!(fresh(&predictions, later, &queries(0, 1_000)), 1_000);
        let body = format!("[{}]", ["7"; 50].join(",")).into_bytes();
        let unreadable = Ok(http::Response::new(body));
        let asked = queries(2_000, 50);
        let wall = SystemTime::UNIX_EPOCH;
        assert!(predictions.complete(later, wall, &asked, unreadable).is_err());
        assert_eq!(fresh(&predictions, later, &queries(0, 1_000)), 1_000);
    }

    #[test]
    fn what_has_expired_makes_room_first() {
        let (predictions, now) = (predictions(), clock::now());
        for chunk in 0..20 {
            answer(&predictions, now, &queries(50 * chunk, 50));
        }
        let later = now + 100 * SECOND;
        answer(&predictions, later, &queries(2_000, 50));
        assert_eq!(predictions.state.lock().cached.len(), 50);
    }

    #[test]
    fn a_newer_answer_is_fresh_for_longer() {
        let (predictions, now) = (predictions(), clock::now());
        let query = queries(0, 1);
        answer(&predictions, now, &query);
        answer(&predictions, now + 30 * SECOND, &query);
        assert_eq!(fresh(&predictions, now + 89 * SECOND, &query), 1);
        assert_eq!(fresh(&predictions, now + 90 * SECOND, &query), 0);
    }

    #[test]
    fn the_time_to_live_can_be_none_or_for_ever() {
        let (now, query) = (clock::now(), queries(0, 1));
        for (ttl, known) in [(Duration::ZERO, 0), (Duration::MAX, 1)] {
            let config = TelemetryConfig { prediction_cache_ttl: ttl, ..config() };
            let predictions = Predictions::new(&config);
            answer(&predictions, now, &query);
            assert_eq!(fresh(&predictions, now, &query), known);
            assert_eq!(fresh(&predictions, now + 100_000_000 * SECOND, &query), known);
        }
    }

    #[test]
    fn a_pause_is_over_when_the_server_said_so() {
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            let (predictions, now) = (predictions(), clock::now());
            predictions.check_gate(now).unwrap();
            pause(&predictions, now, status, "30");
            let error = predictions.check_gate(now + 10 * SECOND).unwrap_err();
            assert!(matches!(error, PredictionError::Paused(left) if left == 20 * SECOND));
            predictions.check_gate(now + 30 * SECOND).unwrap();
        }
    }

    #[test]
    fn a_pause_is_clamped_and_only_a_busy_server_gets_one() {
        let now = clock::now();
        let clamped = predictions();
        pause(&clamped, now, StatusCode::TOO_MANY_REQUESTS, "99999999999");
        clamped.check_gate(now + 3_599 * SECOND).unwrap_err();
        clamped.check_gate(now + 3_600 * SECOND).unwrap();

        let open = predictions();
        pause(&open, now, StatusCode::FORBIDDEN, "30");
        pause(&open, now, StatusCode::TOO_MANY_REQUESTS, "soon");
        open.check_gate(now).unwrap();
    }

    #[test]
    fn a_failure_keeps_what_is_cached() {
        let (predictions, now) = (predictions(), clock::now());
        let (query, wall) = (queries(0, 1), SystemTime::UNIX_EPOCH);
        answer(&predictions, now, &query);
        predictions.complete(now, wall, &query, Ok(Response::default())).unwrap_err();
        predictions.complete(now, wall, &query, Err(TransportError::Timeout)).unwrap_err();
        pause(&predictions, now, StatusCode::BAD_GATEWAY, "1");
        assert_eq!(fresh(&predictions, now, &query), 1);
    }

    #[test]
    fn queries_are_asked_fifty_at_a_time() {
        let predictions = predictions();
        for (count, sizes) in [(0, vec![]), (50, vec![50]), (51, vec![50, 1]), (100, vec![50, 50])]
        {
            let queries = queries(0, count);
            let requests: Vec<_> = predictions.requests(&queries).collect();
            assert!(requests.iter().map(|(asked, _)| asked.len()).eq(sizes));
            assert!(requests.iter().flat_map(|(asked, _)| *asked).eq(&queries));
        }
    }

    #[test]
    fn without_a_server_there_is_nobody_to_ask() {
        let dry_run = TelemetryConfig { dry_run: true, ..config() };
        for config in [TelemetryConfig::disabled(), dry_run] {
            assert_eq!(Predictions::new(&config).requests(&queries(0, 1)).count(), 0);
        }
    }
}

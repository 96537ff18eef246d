//! Prediction lookups in virtual time.

mod cache;
mod sharing;

use std::{
    collections::HashSet,
    task::{Context, Waker},
    time::{Duration, Instant, SystemTime},
};

use mosaicstack_telemetry::{
    Complexity, PredictionError, PredictionQuery, Provider, TaskType, TelemetryConfig,
    TelemetryConfigBuilder,
    model::PredictionRequest,
    sans_io::{LookupAction, PendingQuery, PredictionLookup},
    transport::{Request, Response, TransportError},
};
use proptest::prelude::*;
use telemetry_tests::{Simulation, config, status};

const SECOND: Duration = Duration::from_secs(1);

const WALL: SystemTime = SystemTime::UNIX_EPOCH;

const PREDICTION: &str = r#"{"prediction": {
    "input_tokens": {"p10": 1, "p25": 2, "median": 3, "p75": 4, "p90": 5},
    "output_tokens": {"p10": 1, "p25": 2, "median": 3, "p75": 4, "p90": 5},
    "cost_usd_micros": {"median": 7}, "duration_ms": {"median": 9}
}}"#;

/// A handle, a point in time, and the lookups of both kinds.
struct Lookups {
    simulation: Simulation,
    now: Instant,
}

impl Lookups {
    fn new() -> Self {
        Self::with(|config| config)
    }

    fn with(change: impl FnOnce(TelemetryConfigBuilder) -> TelemetryConfigBuilder) -> Self {
        let config = config("https://example.com").prediction_cache_ttl(60 * SECOND);
        Self::of(&change(config).build().expect("a valid configuration"))
    }

    fn of(config: &TelemetryConfig) -> Self {
        let simulation = Simulation::new(config);
        let now = simulation.instant();
        Self { simulation, now }
    }

    fn lookup(&self, queries: &[PredictionQuery]) -> PredictionLookup {
        self.simulation.predictions.lookup(queries.iter().cloned())
    }

    fn refresh(&self, queries: &[PredictionQuery]) -> PredictionLookup {
        self.simulation.predictions.refresh(queries.iter().cloned())
    }

    /// Completes a new lookup with this reply.
    fn complete(
        &self,
        mut lookup: PredictionLookup,
        reply: impl FnOnce(&Request) -> Result<Response, TransportError>,
    ) -> Result<usize, PredictionError> {
        let (request, pending) = sends(&mut lookup, self.now);
        pending.complete(self.now, WALL, reply(&request));
        done(&mut lookup, self.now)
    }
}

fn queries(count: usize) -> Vec<PredictionQuery> {
    let query = |number| {
        let model = format!("model-{number}");
        PredictionQuery::new(TaskType::Testing, model, Provider::Openai, Complexity::Low)
    };
    (0..count).map(query).collect()
}

fn asked(request: &Request) -> Vec<PredictionQuery> {
    let body: PredictionRequest = serde_json::from_slice(request.body()).expect("a request");
    body.queries
}

/// A prediction for each query of the request.
fn answer(request: &Request) -> Result<Response, TransportError> {
    answer_each(&vec![PREDICTION; asked(request).len()])
}

fn answer_each(answers: &[&str]) -> Result<Response, TransportError> {
    Ok(Response::new(format!("[{}]", answers.join(",")).into()))
}

fn poll(lookup: &mut PredictionLookup, now: Instant) -> LookupAction {
    lookup.poll(now, WALL, &mut Context::from_waker(Waker::noop()))
}

#[track_caller]
fn sends(lookup: &mut PredictionLookup, now: Instant) -> (Request, PendingQuery) {
    match poll(lookup, now) {
        LookupAction::Send(request, pending) => (request, pending),
        other => panic!("no request but {other:?}"),
    }
}

#[track_caller]
fn asks(lookup: &mut PredictionLookup, now: Instant) {
    drop(sends(lookup, now));
}

#[track_caller]
fn waits(lookup: &mut PredictionLookup, now: Instant) -> Instant {
    match poll(lookup, now) {
        LookupAction::Wait(until) => until,
        other => panic!("no wait but {other:?}"),
    }
}

/// The number of answers.
#[track_caller]
fn done(lookup: &mut PredictionLookup, now: Instant) -> Result<usize, PredictionError> {
    match poll(lookup, now) {
        LookupAction::Done(result) => result.map(|answers| answers.len()),
        other => panic!("no result but {other:?}"),
    }
}

#[test]
fn distinct_queries_are_sent_fifty_at_a_time_until_one_request_fails() {
    for failing in [None, Some(1)] {
        let all = Lookups::new();
        let twice = [queries(120), queries(120)].concat();
        let mut lookup = all.refresh(&twice);
        let mut sizes = Vec::new();
        let result = loop {
            match poll(&mut lookup, all.now) {
                LookupAction::Send(request, pending) => {
                    let fails = failing == Some(sizes.len());
                    let reply = if fails { Ok(status(503)) } else { answer(&request) };
                    sizes.push(asked(&request).len());
                    pending.complete(all.now, WALL, reply);
                }
                LookupAction::Wait(_) => panic!("no other lookup is pending"),
                LookupAction::Done(result) => break result.map(|answers| answers.len()),
            }
        };
        let cached = queries(120).iter().filter(|it| is_cached(&all, it)).count();
        match failing {
            None => assert_eq!((&*sizes, result.unwrap(), cached), (&[50, 50, 20][..], 120, 120)),
            Some(_) => {
                assert_eq!((&*sizes, cached), (&[50, 50][..], 50));
                assert!(
                    matches!(result, Err(PredictionError::Refused { status, .. }) if status == 503)
                );
            }
        }
    }
    let all = Lookups::new();
    assert_eq!(done(&mut all.refresh(&[]), all.now).unwrap(), 0);
}

fn is_cached(all: &Lookups, query: &PredictionQuery) -> bool {
    matches!(poll(&mut all.lookup(std::slice::from_ref(query)), all.now), LookupAction::Done(Ok(_)))
}

#[test]
fn disabled_telemetry_and_dry_run_send_no_request() {
    let dry_run = config("https://example.com").dry_run(true).build().unwrap();
    for config in [TelemetryConfig::disabled(), dry_run] {
        let all = Lookups::of(&config);
        assert_eq!(done(&mut all.lookup(&queries(1)), all.now).unwrap(), 0);
        assert_eq!(done(&mut all.refresh(&queries(1)), all.now).unwrap(), 0);
    }
}

proptest! {
    /// Lookups of overlapping queries, polled, answered and dropped in any order.
    #[test]
    fn concurrent_lookups_never_send_a_pending_query_and_all_end(
        wants in prop::collection::vec(prop::collection::vec(0_usize..12, 0..8), 1..8),
        steps in prop::collection::vec((0_usize..8, 0_u8..4), 0..60),
        seconds in 0_u64..80,
    ) {
        let (all, known) = (Lookups::new(), queries(12));
        let mut now = all.now;
        let lookup = |wanted: &Vec<usize>| {
            let wanted: Vec<_> = wanted.iter().map(|&index| known[index].clone()).collect();
            (Some(all.lookup(&wanted)), None::<(Request, PendingQuery, Instant)>)
        };
        let mut lookups: Vec<_> = wants.iter().map(lookup).collect();
        // Afterwards each request is answered, until no lookup is left.
        let rest = (0..1_000).map(|step| (step % 8, 3));
        for (index, step) in steps.into_iter().chain(rest) {
            let index = index % lookups.len();
            let (lookup, in_flight) = &mut lookups[index];
            match (lookup.as_mut(), in_flight.take(), step) {
                (None, ..) => {}
                (Some(_), Some(dropped), 0) => drop(dropped),
                (Some(_), Some((_, pending, _)), 1) => {
                    pending.complete(now, WALL, Err(TransportError::Timeout));
                }
                (Some(_), Some((request, pending, _)), _) => {
                    pending.complete(now, WALL, answer(&request));
                }
                (Some(lookup), None, _) => match poll(lookup, now) {
                    LookupAction::Send(request, pending) => {
                        *in_flight = Some((request, pending, now));
                    }
                    LookupAction::Wait(until) => prop_assert!(until > now),
                    LookupAction::Done(result) => {
                        let wanted: HashSet<_> = wants[index].iter().collect();
                        let found = result.map(|answers| answers.len());
                        prop_assert!(matches!(found, Ok(found) if found == wanted.len())
                            || matches!(found, Err(PredictionError::Transport(_))));
                        lookups[index].0 = None;
                    }
                },
            }
            // A request beyond its timeout may be repeated.
            let in_flight = lookups.iter().filter_map(|(_, it)| it.as_ref());
            let in_time = in_flight.filter(|(.., sent)| now < *sent + 10 * SECOND);
            let pending: Vec<_> = in_time.flat_map(|(request, ..)| asked(request)).collect();
            let distinct: HashSet<_> = pending.iter().collect();
            prop_assert_eq!(distinct.len(), pending.len(), "asked twice");
            if step == 2 {
                now += Duration::from_secs(seconds) / 60;
            }
        }
        prop_assert!(lookups.iter().all(|(lookup, _)| lookup.is_none()), "a lookup has not ended");
    }
}

//! Looking predictions up, in virtual time: who asks, who waits, and what they are told.

mod freshness;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::{Duration, Instant, SystemTime},
};

use mosaicstack_telemetry::{
    Complexity, Inquiry, LookupAction, PredictionError, PredictionLookup, PredictionQuery,
    PredictionRequest, Provider, Request, Response, TaskType, TelemetryConfig,
    TelemetryConfigBuilder, TransportError,
};
use proptest::prelude::*;
use telemetry_tests::{Simulation, config, status};

const SECOND: Duration = Duration::from_secs(1);

const WALL: SystemTime = SystemTime::UNIX_EPOCH;

const PREDICTION: &str = r#"{
    "input_tokens": {"p10": 1, "p25": 2, "median": 3, "p75": 4, "p90": 5},
    "output_tokens": {"p10": 1, "p25": 2, "median": 3, "p75": 4, "p90": 5},
    "cost_usd_micros": {"median": 7}, "duration_ms": {"median": 9}
}"#;

fn simulation() -> Simulation {
    with(|config| config)
}

fn with(change: impl FnOnce(TelemetryConfigBuilder) -> TelemetryConfigBuilder) -> Simulation {
    let config = config("https://example.com").prediction_cache_ttl(60 * SECOND);
    Simulation::new(&change(config).build().expect("a configuration"))
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

/// An answer with data to each query of the request.
fn answer(request: &Request) -> Result<Response, TransportError> {
    answer_each(&vec![format!("{{\"prediction\": {PREDICTION}}}"); asked(request).len()])
}

fn answer_each<T: AsRef<str>>(answers: &[T]) -> Result<Response, TransportError> {
    let answers: Vec<&str> = answers.iter().map(AsRef::as_ref).collect();
    Ok(Response::new(format!("[{}]", answers.join(",")).into()))
}

fn poll(lookup: &mut PredictionLookup, now: Instant) -> LookupAction {
    lookup.poll(now, &mut Context::from_waker(Waker::noop()))
}

/// The request of a lookup that has one to send.
fn sends(lookup: &mut PredictionLookup, now: Instant) -> (Request, Inquiry) {
    match poll(lookup, now) {
        LookupAction::Send(request, inquiry) => (request, inquiry),
        other => panic!("{other:?}"),
    }
}

/// Sees that a lookup has a request to send.
fn asks(lookup: &mut PredictionLookup, now: Instant) {
    drop(sends(lookup, now));
}

fn waits(lookup: &mut PredictionLookup, now: Instant) -> Instant {
    match poll(lookup, now) {
        LookupAction::Wait(until) => until,
        other => panic!("{other:?}"),
    }
}

/// How many queries a lookup has found the answers to.
fn done(lookup: &mut PredictionLookup, now: Instant) -> Result<usize, PredictionError> {
    match poll(lookup, now) {
        LookupAction::Done(result) => result.map(|answers| answers.len()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_one_asks_another_waits_for() {
    let simulation = simulation();
    let (handle, now) = (&simulation.handle, simulation.instant());
    let query = queries(1);
    let mut first = handle.prediction_lookup(query.clone());
    let (request, inquiry) = sends(&mut first, now);
    let mut others: Vec<_> = (0..10)
        .flat_map(|_| {
            [handle.prediction_lookup(query.clone()), handle.prediction_refresh(query.clone())]
        })
        .collect();
    for other in &mut others {
        assert_eq!(waits(other, now), now + 10 * SECOND, "as long as a request may take");
    }
    first.complete(now, WALL, inquiry, answer(&request));
    for lookup in others.iter_mut().chain([&mut first]) {
        assert_eq!(done(lookup, now).unwrap(), 1);
    }
}

#[test]
fn waiting_lookups_are_woken() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let simulation = simulation();
    let (handle, now) = (&simulation.handle, simulation.instant());
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut first = handle.prediction_lookup(queries(1));
    let (request, inquiry) = sends(&mut first, now);
    let mut other = handle.prediction_lookup(queries(1));
    assert!(matches!(other.poll(now, &mut Context::from_waker(&waker)), LookupAction::Wait(_)));
    first.complete(now, WALL, inquiry, answer(&request));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);

    let mut first = handle.prediction_refresh(queries(1));
    let (_, inquiry) = sends(&mut first, now);
    let mut other = handle.prediction_refresh(queries(1));
    assert!(matches!(other.poll(now, &mut Context::from_waker(&waker)), LookupAction::Wait(_)));
    drop(inquiry);
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
}

#[test]
fn a_failure_is_everyones() {
    let simulation = simulation();
    let (handle, now) = (&simulation.handle, simulation.instant());
    let mut first = handle.prediction_lookup(queries(1));
    let (_, inquiry) = sends(&mut first, now);
    let mut other = handle.prediction_lookup(queries(1));
    waits(&mut other, now);
    first.complete(now, WALL, inquiry, Ok(status(500)));
    for lookup in [&mut first, &mut other] {
        assert!(matches!(done(lookup, now), Err(PredictionError::Refused(500))));
    }
    asks(&mut handle.prediction_lookup(queries(1)), now);
}

#[test]
fn what_could_not_be_read_fails_only_those_who_asked_for_it() {
    let simulation = simulation();
    let (handle, now) = (&simulation.handle, simulation.instant());
    let two = queries(2);
    let mut both = handle.prediction_lookup(two.clone());
    let (_, inquiry) = sends(&mut both, now);
    let mut good = handle.prediction_lookup(two[..1].to_vec());
    let mut bad = handle.prediction_lookup(two[1..].to_vec());
    waits(&mut good, now);
    waits(&mut bad, now);
    both.complete(now, WALL, inquiry, answer_each(&["{\"prediction\":null}", "7"]));
    assert_eq!(done(&mut good, now).unwrap(), 1);
    for lookup in [&mut both, &mut bad] {
        let error = done(lookup, now).unwrap_err().to_string();
        assert_eq!(error, "no predictions: 1 of 2 answers are not readable");
    }
}

#[test]
fn when_the_one_who_asks_gives_up_another_asks() {
    let simulation = simulation();
    let (handle, now) = (&simulation.handle, simulation.instant());
    let mut first = handle.prediction_lookup(queries(3));
    let (_, inquiry) = sends(&mut first, now);
    let mut others = [handle.prediction_lookup(queries(1)), handle.prediction_lookup(queries(3))];
    for other in &mut others {
        waits(other, now);
    }
    drop((inquiry, first));
    let (request, inquiry) = sends(&mut others[0], now);
    assert_eq!(asked(&request), queries(1));
    let (rest, other_inquiry) = sends(&mut others[1], now);
    assert_eq!(asked(&rest), queries(3)[1..], "the first one is under way again");
    others[0].complete(now, WALL, inquiry, answer(&request));
    assert_eq!(done(&mut others[0], now).unwrap(), 1);
    others[1].complete(now, WALL, other_inquiry, answer(&rest));
    assert_eq!(done(&mut others[1], now).unwrap(), 3);
}

#[test]
fn one_who_stands_still_holds_up_nobody_after_that() {
    let simulation = with(|config| config.request_timeout(3 * SECOND));
    let (handle, now) = (&simulation.handle, simulation.instant());
    let mut first = handle.prediction_lookup(queries(1));
    let (request, inquiry) = sends(&mut first, now);
    waits(&mut handle.prediction_lookup(queries(1)), now + 2 * SECOND);
    let later = now + 3 * SECOND;
    let mut other = handle.prediction_lookup(queries(1));
    let (_, others_inquiry) = sends(&mut other, later);
    // The first one's end is not the other's.
    first.complete(later, WALL, inquiry, answer(&request));
    waits(&mut handle.prediction_refresh(queries(1)), later);
    other.complete(later, WALL, others_inquiry, answer(&request));
    asks(&mut handle.prediction_refresh(queries(1)), later);
}

#[test]
fn nobody_waits_longer_for_another_than_for_an_answer_of_his_own() {
    let simulation = with(|config| config.request_timeout(3 * SECOND));
    let (handle, now) = (&simulation.handle, simulation.instant());
    let mut first = handle.prediction_lookup(queries(1));
    let _under_way = sends(&mut first, now);
    let mut other = handle.prediction_lookup(queries(1));
    let until = waits(&mut other, now);
    assert_eq!(until, now + 3 * SECOND);
    assert_eq!(waits(&mut other, now + 2 * SECOND), until);
    let error = done(&mut other, until).unwrap_err();
    assert!(matches!(error, PredictionError::Transport(TransportError::Timeout)), "{error:?}");
}

#[test]
fn queries_are_asked_fifty_at_a_time_and_each_once() {
    let simulation = simulation();
    let (handle, now) = (&simulation.handle, simulation.instant());
    let mut twice = queries(120);
    twice.extend(queries(120));
    let mut lookup = handle.prediction_refresh(twice);
    let mut sizes = Vec::new();
    let answers = loop {
        match poll(&mut lookup, now) {
            LookupAction::Send(request, inquiry) => {
                sizes.push(asked(&request).len());
                lookup.complete(now, WALL, inquiry, answer(&request));
            }
            LookupAction::Wait(_) => panic!("nobody else asks"),
            LookupAction::Done(answers) => break answers.unwrap(),
        }
    };
    assert_eq!((sizes, answers.len()), (vec![50, 50, 20], 120));
    assert_eq!(done(&mut handle.prediction_refresh([]), now).unwrap(), 0);
}

#[test]
fn without_a_server_there_is_nobody_to_ask() {
    let dry_run = config("https://example.com").dry_run(true).build().unwrap();
    for config in [TelemetryConfig::disabled(), dry_run] {
        let simulation = Simulation::new(&config);
        let (handle, now) = (&simulation.handle, simulation.instant());
        assert_eq!(done(&mut handle.prediction_lookup(queries(1)), now).unwrap(), 0);
        assert_eq!(done(&mut handle.prediction_refresh(queries(1)), now).unwrap(), 0);
    }
}

proptest! {
    /// Some lookups of overlapping queries, carried on, answered and given up in any order.
    #[test]
    fn no_query_is_under_way_twice_and_every_lookup_ends(
        wants in prop::collection::vec(prop::collection::vec(0_usize..12, 0..8), 1..8),
        steps in prop::collection::vec((0_usize..8, 0_u8..4), 0..60),
        seconds in 0_u64..80,
    ) {
        let simulation = simulation();
        let (handle, mut now) = (&simulation.handle, simulation.instant());
        let all = queries(12);
        let mut lookups: Vec<_> = wants
            .iter()
            .map(|wanted| {
                let lookup = handle.prediction_lookup(wanted.iter().map(|&index| all[index].clone()));
                (Some(lookup), None::<(Request, Inquiry, Instant)>)
            })
            .collect();
        // Then all the rest, answered, until nothing is left.
        let rest = (0..1_000).map(|step| (step % 8, 3));
        for (index, what) in steps.into_iter().chain(rest) {
            let index = index % lookups.len();
            let (lookup, under_way) = &mut lookups[index];
            match (lookup.as_mut(), under_way.take(), what) {
                (None, ..) => {}
                (Some(_), Some(given_up), 0) => drop(given_up),
                (Some(lookup), Some((_, inquiry, _)), 1) => {
                    lookup.complete(now, WALL, inquiry, Err(TransportError::Timeout));
                }
                (Some(lookup), Some((request, inquiry, _)), _) => {
                    lookup.complete(now, WALL, inquiry, answer(&request));
                }
                (Some(lookup), None, _) => match poll(lookup, now) {
                    LookupAction::Send(request, inquiry) => *under_way = Some((request, inquiry, now)),
                    LookupAction::Wait(until) => prop_assert!(until > now),
                    LookupAction::Done(result) => {
                        let wanted: std::collections::HashSet<_> = wants[index].iter().collect();
                        let found = result.map(|answers| answers.len());
                        prop_assert!(matches!(found, Ok(found) if found == wanted.len())
                            || matches!(found, Err(PredictionError::Transport(_))));
                        lookups[index].0 = None;
                    }
                },
            }
            let mut under_way = Vec::new();
            for (request, _, sent) in lookups.iter().filter_map(|(_, it)| it.as_ref()) {
                // What takes longer than a request may is asked again.
                if now < *sent + 10 * SECOND {
                    under_way.extend(asked(request));
                }
            }
            let count = under_way.len();
            under_way.sort();
            under_way.dedup();
            prop_assert_eq!(under_way.len(), count, "asked twice");
            if what == 2 {
                now += Duration::from_secs(seconds) / 60;
            }
        }
        prop_assert!(lookups.iter().all(|(lookup, _)| lookup.is_none()), "it has not ended");
    }
}

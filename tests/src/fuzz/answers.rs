//! Answers to a request for predictions.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Waker},
    time::{Duration, Instant, SystemTime},
};

use mosaicstack_telemetry::{
    Complexity, PredictionError, PredictionQuery, PredictionResponse, Provider, TaskType,
    model::PredictionResults,
    sans_io::{LookupAction, PendingQuery, PredictionCache, PredictionLookup},
    transport::{Response, TransportError},
};

use serde_json::json;

use super::{
    LONGEST, answer, assert_no_key, documents::has_large_count, in_proportion,
    predictions::check_response, with_key,
};
use crate::{Simulation, config};

/// Longest message of an error, in characters.
const MAX_MESSAGE: usize = 300;

type Answers = HashMap<PredictionQuery, Arc<PredictionResponse>>;

/// The input is the answer to two queries.
pub(super) fn check(input: &[u8]) {
    let answer = answer::one(&with_key(input));
    let config = config("https://example.com").build().expect("a configuration");
    let simulation = Simulation::new(&config);
    let (cache, now) = (&simulation.predictions, simulation.instant());
    let queries = ["one", "two"].map(|model| {
        PredictionQuery::new(TaskType::Testing, model, Provider::Anthropic, Complexity::Low)
    });
    let queries = queries.to_vec();

    let mut lookup = cache.lookup(queries.clone());
    let pending = match poll(&mut lookup, now) {
        Next::Asks(pending) => pending,
        Next::Done(result) => panic!("no request: {result:?}"),
    };
    let length = answer.as_ref().map_or(0, |answer| answer.body().len());
    let given = answer.clone();
    in_proportion(length, 2, || {
        pending.complete(now, SystemTime::UNIX_EPOCH, given);
    });
    let Next::Done(result) = poll(&mut lookup, now) else { panic!("it asks again") };
    match &result {
        Ok(answers) => check_answers(cache, now, &queries, answers),
        // A transport's own text is passed on.
        Err(PredictionError::Transport(_)) => {}
        Err(error) => {
            let message = error.to_string();
            assert!(message.chars().count() <= MAX_MESSAGE, "{message}");
            assert_no_key(&message);
        }
    }
    check_strict(&queries, &answer, result.as_ref().ok());
    check_again(cache, &queries, now, &result);
}

enum Next {
    Asks(PendingQuery),
    Done(Result<Answers, PredictionError>),
}

fn poll(lookup: &mut PredictionLookup, now: Instant) -> Next {
    match lookup.poll(now, SystemTime::UNIX_EPOCH, &mut Context::from_waker(Waker::noop())) {
        LookupAction::Send(_, pending) => Next::Asks(pending),
        LookupAction::Done(result) => Next::Done(result),
        LookupAction::Wait(_) => panic!("no other lookup is under way"),
    }
}

/// All queries are answered, the numbers are usable, and the cache returns the same.
fn check_answers(
    cache: &PredictionCache,
    now: Instant,
    queries: &[PredictionQuery],
    answers: &Answers,
) {
    assert_eq!(answers.len(), queries.len());
    for query in queries {
        let response = &answers[query];
        check_response(response);
        let written = serde_json::to_string(&**response).expect("an answer is JSON");
        assert_eq!(
            serde_json::from_str::<PredictionResponse>(&written).ok().as_ref(),
            Some(&**response)
        );
        let cached = cache.cached(now, SystemTime::UNIX_EPOCH, query).expect("it is cached");
        assert_eq!(cached.response, *response);
        assert!(cached.is_fresh);
    }
}

/// The client reads an answer that the strict validation accepts, and reads it the same.
fn check_strict(
    queries: &[PredictionQuery],
    answer: &Result<Response, TransportError>,
    read: Option<&Answers>,
) {
    let Ok(answer) = answer else { return };
    let Ok(strict) = PredictionResults::from_json(answer.body()) else { return };
    let is_whole = !has_large_count(&json!(strict));
    if answer.status().is_success() && strict.results.len() == queries.len() && is_whole {
        let read = read.expect("a valid answer was refused");
        for (query, strict) in queries.iter().zip(&strict.results) {
            assert_eq!(*read[query], *strict);
        }
    }
}

/// A second lookup does not ask for cached answers, and keeps the pause of a busy server.
fn check_again(
    cache: &PredictionCache,
    queries: &[PredictionQuery],
    now: Instant,
    first: &Result<Answers, PredictionError>,
) {
    let known = queries
        .iter()
        .filter(|query| cache.cached(now, SystemTime::UNIX_EPOCH, query).is_some())
        .count();
    match (poll(&mut cache.lookup(queries.to_vec()), now), first) {
        (Next::Done(Ok(again)), Ok(first)) => assert_eq!(again, *first),
        (Next::Asks(..), Err(_)) => assert!(known < queries.len()),
        (Next::Done(Err(PredictionError::Paused(left))), Err(_)) => {
            assert!(left <= LONGEST, "{left:?}");
            let mut later = cache.lookup(queries.to_vec());
            let almost = now + left.saturating_sub(Duration::from_nanos(1));
            assert!(matches!(poll(&mut later, almost), Next::Done(Err(_))), "asked too early");
            let mut later = cache.lookup(queries.to_vec());
            assert!(matches!(poll(&mut later, now + left), Next::Asks(..)), "never asked again");
        }
        (Next::Asks(..), Ok(_)) => panic!("asked again"),
        (Next::Done(again), first) => panic!("first {first:?}, then {again:?}"),
    }
}

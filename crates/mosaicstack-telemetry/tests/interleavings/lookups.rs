//! Several callers that want the same prediction.

use loom::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    Complexity, LookupAction, PredictionQuery, Provider, Start, TaskType, TelemetryHandle, clock,
    wait::{self, Wait},
};

const ANSWER: &str = r#"{"results": [{"prediction": null}]}"#;

fn handle() -> TelemetryHandle {
    let start = Start { now: clock::now(), wall: clock::wall(), seed: 7 };
    let config = config().request_timeout(AMPLE).build().unwrap();
    TelemetryHandle::with_submitter(&config, start, || {}).0
}

fn query() -> PredictionQuery {
    PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low)
}

/// Asks until there is an answer; gives up the first `cancelled` requests.
fn ask(handle: &TelemetryHandle, requests: &AtomicUsize, mut cancelled: usize) {
    let mut lookup = handle.prediction_lookup([query()]);
    let answers = loop {
        let action = wait::block_on(|now, cx| match lookup.poll(now, cx) {
            LookupAction::Wait(until) => Wait::Until(until),
            action => Wait::Ready(action),
        });
        match action {
            LookupAction::Send(_, inquiry) if cancelled > 0 => {
                cancelled -= 1;
                drop(inquiry);
            }
            LookupAction::Send(_, inquiry) => {
                requests.fetch_add(1, Ordering::Relaxed);
                let answer = Ok(Response::new(ANSWER.into()));
                lookup.complete(clock::now(), clock::wall(), inquiry, answer);
            }
            LookupAction::Wait(_) => {}
            LookupAction::Done(answers) => break answers.unwrap(),
        }
    };
    assert!(answers.contains_key(&query()));
}

#[test]
fn those_who_ask_at_the_same_time_make_one_request() {
    check("two lookups of one query", 3, || {
        let (handle, requests) = (handle(), Arc::new(AtomicUsize::new(0)));
        let other = beside({
            let (handle, requests) = (handle.clone(), Arc::clone(&requests));
            move || ask(&handle, &requests, 0)
        });
        ask(&handle, &requests, 0);
        other.join().unwrap();
        assert_eq!(requests.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn when_one_gives_up_another_asks() {
    check("two lookups, one of which gives up", 2, || {
        let (handle, requests) = (handle(), Arc::new(AtomicUsize::new(0)));
        let others = [1, 0].map(|cancelled| {
            let (handle, requests) = (handle.clone(), Arc::clone(&requests));
            beside(move || ask(&handle, &requests, cancelled))
        });
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(requests.load(Ordering::Relaxed), 1);
    });
}

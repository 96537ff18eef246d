//! Callers that look up the same prediction.

use super::*;
use crate::{
    Complexity, PredictionQuery, Provider, TaskType, clock,
    sans_io::{LookupAction, PredictionCache},
    worker::{Wait, block_on},
};

fn cache() -> PredictionCache {
    PredictionCache::new(&config().request_timeout(LONG).build().unwrap())
}

/// Looks a query up; gives up the first `cancelled` requests.
fn look_up(cache: &PredictionCache, requests: &AtomicUsize, mut cancelled: usize) {
    let query = PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low);
    let mut lookup = cache.lookup([query.clone()]);
    let answers = loop {
        let action = block_on(|now, cx| match lookup.poll(now, clock::wall(), cx) {
            LookupAction::Wait(until) => Wait::Until(until),
            action => Wait::Ready(action),
        });
        match action {
            LookupAction::Send(_, pending) if cancelled > 0 => {
                cancelled -= 1;
                drop(pending);
            }
            LookupAction::Send(_, pending) => {
                requests.fetch_add(1, Ordering::Relaxed);
                let answer = Response::new(r#"{"results": [{"prediction": null}]}"#.into());
                pending.complete(clock::now(), clock::wall(), Ok(answer));
            }
            LookupAction::Wait(_) => {}
            LookupAction::Done(answers) => break answers.unwrap(),
        }
    };
    assert!(answers.contains_key(&query));
}

#[test]
fn concurrent_lookups_share_one_request_also_when_one_is_cancelled() {
    for (preemptions, cancelled) in [(3, 0), (2, 1)] {
        check(preemptions, move || {
            let (cache, requests) = (cache(), Arc::new(AtomicUsize::new(0)));
            let other = thread::spawn({
                let (cache, requests) = (cache.clone(), Arc::clone(&requests));
                move || look_up(&cache, &requests, 0)
            });
            look_up(&cache, &requests, cancelled);
            other.join().unwrap();
            assert_eq!(requests.load(Ordering::Relaxed), 1);
        });
    }
}

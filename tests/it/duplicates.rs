//! Random responses over real sockets: the server takes an event twice only after an ambiguous
//! attempt, and with the same bytes each time.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use mosaicstack_telemetry::{RetryPolicy, Stats, TelemetryConfig, bytes::Bytes};
use serde::Deserialize;
use serde_json::value::RawValue;
use telemetry_collector::{Collector, FaultRule, Position, ResponseTemplate};
use telemetry_tests::{Random, config, long_tests, track};
use uuid::Uuid;

use crate::{
    client::{Client, Kind, Reply},
    support::AMPLE,
};

/// Outcome of an attempt, as the client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Refused,
    /// No response, half of its head, or a page.
    Ambiguous,
}

/// For each event, its JSON and the outcome in each attempt.
type Attempts = Arc<Mutex<HashMap<Uuid, Vec<(String, Outcome)>>>>;

/// An attempt in flight; ambiguous if the client drops it.
struct Attempt {
    body: Bytes,
    outcome: Outcome,
    attempts: Attempts,
}

impl Attempt {
    fn end(mut self, reply: Reply) -> Reply {
        self.outcome = match &reply {
            // Not the API, as far as the client can tell.
            Ok(response) if response.body() == b"<html>" => Outcome::Ambiguous,
            Ok(response) if response.status().is_success() => Outcome::Accepted,
            Ok(_) => Outcome::Refused,
            Err(_) => Outcome::Ambiguous,
        };
        reply
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut attempts = self.attempts.lock().expect("no panic");
        for (id, text) in texts(&self.body) {
            attempts.entry(id).or_default().push((text, self.outcome));
        }
    }
}

/// Id and JSON of each event of a body.
fn texts(body: &[u8]) -> Vec<(Uuid, String)> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Event {
        event_id: Uuid,
    }
    let body: Body<'_> = serde_json::from_slice(body).expect("a batch");
    let id = |event: &RawValue| serde_json::from_str::<Event>(event.get()).expect("an event");
    body.events.into_iter().map(|event| (id(event).event_id, event.get().to_owned())).collect()
}

/// Flushes this number of events until each is accepted or rejected.
fn deliver(kind: Kind, config: TelemetryConfig, events: usize, attempts: &Attempts) -> Stats {
    let attempts = Arc::clone(attempts);
    let client = Client::observed(kind, config, move |request| {
        let (body, attempts) = (request.body().clone(), Arc::clone(&attempts));
        let attempt = Attempt { body, outcome: Outcome::Ambiguous, attempts };
        move |reply| attempt.end(reply)
    });
    track(&client.handle(), events);
    assert!((0..20).any(|_| client.flush(AMPLE).is_ok()), "{:?}", client.stats());
    client.stop()
}

/// Answers with a known outcome.
const CLEAR: [fn() -> ResponseTemplate; 12] = [
    ResponseTemplate::normal,
    ResponseTemplate::normal,
    || ResponseTemplate::normal().body(""),
    || ResponseTemplate::normal().body("{}"),
    || ResponseTemplate::status(503),
    || ResponseTemplate::status(500),
    || ResponseTemplate::status(429).header("retry-after", "0"),
    || ResponseTemplate::status(408),
    // The batch is bisected.
    || ResponseTemplate::status(413),
    || ResponseTemplate::status(422),
    || ResponseTemplate::normal().close_afterwards(),
    || ResponseTemplate::normal().cut(Position::InBody),
];

/// Answers after which the client cannot know whether the server took the events.
const AMBIGUOUS: [fn() -> ResponseTemplate; 6] = [
    || ResponseTemplate::normal().body("<html>"),
    ResponseTemplate::close_after_processing,
    ResponseTemplate::close,
    || ResponseTemplate::normal().cut(Position::InHead),
    || ResponseTemplate::normal().cut(Position::After(1)),
    || ResponseTemplate::normal().delay(10 * TIMEOUT),
];

/// Request timeout where answers are ambiguous.
const TIMEOUT: Duration = Duration::from_millis(100);

/// Returns the numbers of events that were sent more than once, and of those taken twice.
fn run(seed: u64, kind: Kind, is_ambiguous: bool) -> (usize, u64) {
    let mut random = Random(seed);
    // A late answer is ambiguous.
    let timeout = if is_ambiguous { TIMEOUT } else { 4 * AMPLE };
    let taken = Arc::<Mutex<Vec<Uuid>>>::default();
    let received = Arc::<Mutex<Vec<(Uuid, String)>>>::default();
    let (on_batch, on_request) = (Arc::clone(&taken), Arc::clone(&received));
    let collector = Collector::builder()
        .on_batch(move |seen| {
            let ids = seen.receipt.results.iter().filter_map(|result| result.event_id);
            on_batch.lock().expect("no panic").extend(ids);
        })
        .on_request(move |it| on_request.lock().expect("no panic").extend(texts(&it.body)));
    let collector = collector.start().expect("loopback can be bound");
    let answers = (0..random.below(20)).map(|_| {
        let doubtful = is_ambiguous && random.below(3) == 0;
        let kinds = if doubtful { &AMBIGUOUS[..] } else { &CLEAR };
        kinds[random.below(kinds.len())]()
    });
    collector.script(answers.collect::<Vec<_>>());
    collector.fault(FaultRule::close_before_reading().probability(0.2).seed(seed));

    let policy = RetryPolicy {
        initial_backoff: Duration::from_millis(1),
        // Twenty failures in a row would double it to minutes.
        max_backoff: Duration::from_millis(10),
        max_retries: 100,
        ..RetryPolicy::default()
    };
    let config = config(collector.url()).batch_size(1 + random.below(100)).retry_policy(policy);
    let config = config.request_timeout(timeout).shutdown_timeout(AMPLE).build();
    let config = config.expect("a valid configuration");
    let (events, attempts) = (1 + random.below(200), Attempts::default());
    let stats = deliver(kind, config, events, &attempts);
    let totals = collector.stop();

    let case = format!("seed {seed}, {kind:?}, {stats}, {totals}");
    assert!(stats.is_balanced() && stats.pending == 0, "{case}");
    assert_eq!(stats.tracked, stats.delivered + stats.rejected, "{case}");
    let (attempts, taken) = (attempts.lock().expect("no panic"), taken.lock().expect("no panic"));
    assert_eq!(attempts.len(), events, "{case}");
    for (id, made) in attempts.iter() {
        let (last, earlier) = made.split_last().expect("an attempt");
        assert!(earlier.iter().all(|(_, it)| *it != Outcome::Accepted), "{id}, {case}");
        assert!(made.iter().all(|(text, _)| *text == last.0), "{id}, {case}");
        let doubts = earlier.iter().filter(|(_, it)| *it == Outcome::Ambiguous).count();
        let times = taken.iter().filter(|it| *it == id).count();
        assert!(times <= doubts + 1, "{id}: taken {times} times, {doubts} doubts, {case}");
    }
    for (id, text) in received.lock().expect("no panic").iter() {
        assert_eq!(*text, attempts[id][0].0, "the bytes of the first attempt, {case}");
    }
    let distinct = taken.iter().collect::<HashSet<_>>().len() as u64;
    assert_eq!((totals.accepted, totals.duplicates), (distinct, taken.len() as u64 - distinct));
    assert!(distinct >= stats.delivered, "{case}");
    if !is_ambiguous {
        assert_eq!((totals.duplicates, distinct), (0, stats.delivered), "{case}");
    }
    (attempts.values().filter(|made| made.len() > 1).count(), totals.duplicates)
}

#[test]
fn event_is_taken_twice_only_after_an_ambiguous_attempt() {
    for (is_ambiguous, usual, thorough) in [(false, 20, 500), (true, 10, 150)] {
        let (mut repeated, mut duplicates) = (0, 0);
        for seed in 1..=if long_tests() { thorough } else { usual } {
            for kind in Kind::ALL {
                let counts = run(seed, kind, is_ambiguous);
                (repeated, duplicates) = (repeated + counts.0, duplicates + counts.1);
            }
        }
        assert!(repeated > 0 && (duplicates > 0) == is_ambiguous, "{repeated}, {duplicates}");
    }
}

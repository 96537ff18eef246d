//! An event is taken twice only if nobody could know what became of it, and is sent again only as
//! it was.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, AsyncTransport, HyperTransport, Request, Response, RetryPolicy, Stats,
    TelemetryClient, TelemetryConfig, Transport, TransportError, UreqTransport,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use telemetry_collector::{Answer, Collector, Fault, Place};
use telemetry_tests::{Kind, config, evidence, track};
use tokio::runtime::Builder;
use uuid::Uuid;

use crate::blocking::AMPLE;

/// What came of an attempt, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Refused,
    /// No answer, or half of one.
    Ambiguous,
}

/// An event's text in a request, and what came of that.
type Attempt = (String, Outcome);

/// The attempts to deliver each event, in order.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<HashMap<Uuid, Vec<Attempt>>>>);

impl Attempts {
    fn begin(&self, request: &Request) -> Begun {
        Begun { body: request.body().clone(), outcome: Outcome::Ambiguous, attempts: self.clone() }
    }
}

/// An attempt that is under way: one more in doubt, if the client waits for it no longer.
struct Begun {
    body: Vec<u8>,
    outcome: Outcome,
    attempts: Attempts,
}

impl Begun {
    fn end(mut self, result: Result<Response, TransportError>) -> Result<Response, TransportError> {
        self.outcome = match &result {
            Ok(response) if response.status().is_success() => Outcome::Accepted,
            Ok(_) => Outcome::Refused,
            Err(_) => Outcome::Ambiguous,
        };
        result
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut attempts = self.attempts.0.lock().expect("nobody panics with it");
        for (id, text) in texts(&self.body) {
            attempts.entry(id).or_default().push((text, self.outcome));
        }
    }
}

/// The events of a body as they stand there.
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

/// Tracks that many events with a client, and flushes until the server has taken them or has
/// refused them one by one.
fn deliver(kind: Kind, config: TelemetryConfig, events: usize, attempts: &Attempts) -> Stats {
    let attempts = attempts.clone();
    match kind {
        Kind::Blocking => {
            let ureq = UreqTransport::new();
            let client = TelemetryClient::with_transport(config, move |request: Request| {
                let begun = attempts.begin(&request);
                begun.end(ureq.send(request))
            });
            track(&client.handle(), events);
            assert!((0..20).any(|_| client.flush(AMPLE).is_ok()), "{:?}", client.stats());
            client.stop()
        }
        Kind::Tokio => {
            let hyper = Arc::new(HyperTransport::new());
            let transport = move |request: Request| {
                let (hyper, attempts) = (Arc::clone(&hyper), attempts.clone());
                async move {
                    let begun = attempts.begin(&request);
                    begun.end(hyper.send(request).await)
                }
            };
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let client = AsyncTelemetryClient::with_transport(config, transport);
                track(&client.handle(), events);
                for _ in 0..20 {
                    if client.flush(AMPLE).await.is_ok() {
                        break;
                    }
                }
                client.stop().await
            })
        }
    }
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    /// One that is less than `end`.
    fn below(&mut self, end: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % end
    }
}

/// Answers that leave no doubt, one of them a connection that is closed after its answer.
const CLEAR: [fn() -> Answer; 11] = [
    Answer::normal,
    Answer::normal,
    // What is said of the events is not readable, but they were taken.
    || Answer::normal().body(""),
    || Answer::normal().body("<html>"),
    || Answer::status(503),
    || Answer::status(500),
    || Answer::status(429).header("retry-after", "0"),
    || Answer::status(408),
    // The batch is cut anew.
    || Answer::status(413),
    || Answer::status(422),
    || Answer::normal().close_afterwards(),
];

/// Answers that leave the client in doubt, whether the server has taken the events or not.
const AMBIGUOUS: [fn() -> Answer; 6] = [
    Answer::close_after_taking,
    Answer::close,
    || Answer::normal().cut(Place::InHead),
    || Answer::normal().cut(Place::InBody),
    || Answer::normal().cut(Place::After(1)),
    // Later than the client waits.
    || Answer::normal().delay(10 * TIMEOUT),
];

/// Of requests that are answered too late.
const TIMEOUT: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct Sums {
    schedules: u64,
    requests: u64,
    again: u64,
    duplicates: u64,
}

/// One schedule, with a number of its own.
fn run(seed: u64, kind: Kind, is_ambiguous: bool, sums: &mut Sums) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    // A healthy answer that is late is one more ambiguity, where there are any.
    let timeout = if is_ambiguous { TIMEOUT } else { 4 * AMPLE };
    let taken = Arc::<Mutex<Vec<Uuid>>>::default();
    let received = Arc::<Mutex<Vec<(Uuid, String)>>>::default();
    let hooks = (Arc::clone(&taken), Arc::clone(&received));
    let collector = Collector::builder()
        .on_batch(move |seen| {
            let ids = seen.receipt.results.iter().filter_map(|result| result.event_id);
            hooks.0.lock().expect("nobody panics with it").extend(ids);
        })
        .on_request(move |request| {
            hooks.1.lock().expect("nobody panics with it").extend(texts(&request.body));
        });
    let collector = collector.start().expect("loopback can be bound");
    let answers = (0..random.below(20)).map(|_| {
        let doubtful = is_ambiguous && random.below(3) == 0;
        let kinds = if doubtful { &AMBIGUOUS[..] } else { &CLEAR };
        kinds[random.below(kinds.len())]()
    });
    collector.script(answers.collect::<Vec<_>>());
    collector.fault(Fault::close_before_reading().probability(0.2).seed(seed));

    let policy = RetryPolicy {
        initial_backoff: Duration::from_millis(1),
        // Twenty failures in a row would double it to minutes.
        max_backoff: Duration::from_millis(10),
        max_retries: 100,
        ..RetryPolicy::default()
    };
    let config = config(collector.url()).batch_size(1 + random.below(100)).retry_policy(policy);
    let config = config.request_timeout(timeout).shutdown_timeout(AMPLE).build().expect("right");
    let (events, attempts) = (1 + random.below(200), Attempts::default());
    let stats = deliver(kind, config, events, &attempts);
    let totals = collector.stop();

    let told = format!("seed {seed}, {kind:?}, {stats}, {totals}");
    assert!(stats.is_balanced() && stats.pending == 0, "{told}");
    assert_eq!(stats.tracked, stats.delivered + stats.rejected, "{told}");
    let attempts = attempts.0.lock().expect("nobody panics with it");
    assert_eq!(attempts.len(), events, "{told}");
    let taken = taken.lock().expect("nobody panics with it");
    check_doubts(&attempts, &taken, &told);
    for (id, text) in received.lock().expect("nobody panics with it").iter() {
        assert_eq!(*text, attempts[id][0].0, "as it was in the first attempt, {told}");
    }
    let distinct = taken.iter().collect::<HashSet<_>>().len() as u64;
    assert_eq!((totals.accepted, totals.duplicates), (distinct, taken.len() as u64 - distinct));
    assert!(distinct >= stats.delivered, "what is delivered has arrived, {told}");
    if !is_ambiguous {
        assert_eq!((totals.duplicates, distinct), (0, stats.delivered), "{told}");
    }
    sums.schedules += 1;
    sums.requests += stats.requests;
    sums.again += attempts.values().filter(|attempts| attempts.len() > 1).count() as u64;
    sums.duplicates += totals.duplicates;
}

/// Whoever was accepted is not sent again, and whoever was taken twice had been in doubt.
fn check_doubts(attempts: &HashMap<Uuid, Vec<Attempt>>, taken: &[Uuid], told: &str) {
    let mut times = HashMap::new();
    taken.iter().for_each(|id| *times.entry(id).or_insert(0) += 1);
    for (id, made) in attempts {
        let (last, earlier) = made.split_last().expect("an attempt");
        assert!(earlier.iter().all(|(_, it)| *it != Outcome::Accepted), "{id}, {told}");
        assert!(made.iter().all(|(text, _)| *text == last.0), "{id}, {told}");
        let doubts = earlier.iter().filter(|(_, it)| *it == Outcome::Ambiguous).count();
        let taken = times.get(id).copied().unwrap_or(0);
        assert!(taken <= doubts + 1, "{id} was taken {taken} times after {doubts} doubts, {told}");
    }
}

#[test]
fn without_doubt_nothing_is_taken_twice() {
    let mut sums = Sums::default();
    for seed in 1..=evidence::scale(20, 500) {
        Kind::ALL.into_iter().for_each(|kind| run(seed, kind, false, &mut sums));
    }
    assert!(sums.again > 0 && sums.duplicates == 0, "{sums:?}");
    let Sums { schedules, requests, again, duplicates } = sums;
    evidence::tried(
        "R7",
        format_args!(
            "{schedules} random schedules without an ambiguous answer, {requests} requests, \
             {again} events sent again in the same bytes, {duplicates} taken twice"
        ),
    );
}

#[test]
fn after_a_doubt_an_event_is_sent_again_as_it_was_and_counts_once() {
    let mut sums = Sums::default();
    for seed in 1..=evidence::scale(10, 150) {
        Kind::ALL.into_iter().for_each(|kind| run(seed, kind, true, &mut sums));
    }
    assert!(sums.duplicates > 0, "{sums:?}");
    let Sums { schedules, requests, again, duplicates } = sums;
    evidence::tried(
        "R7",
        format_args!(
            "{schedules} random schedules with ambiguous answers, {requests} requests, {again} \
             events sent again in the same bytes, {duplicates} recognized by their id, none of \
             them without a doubt"
        ),
    );
}

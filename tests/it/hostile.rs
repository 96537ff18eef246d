//! A server that wants to harm its clients: their memory stays small, their time-out is kept, and
//! they go on when the server is well again.

mod front;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use telemetry_collector::{Answer, Collector, Place};
use telemetry_tests::{Kind, Order, Remote, Settings, Sizes, evidence};

use self::front::{Front, Speech};
use crate::{
    blocking::{AMPLE, collector},
    child::CLIENT,
};

/// How much a client's memory may rise, in KiB.
const MOST: u64 = 8 * 1024;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_millis(500);

const HOUR: Duration = Duration::from_secs(3600);

/// What the server does to every request.
enum Misdeed {
    Answer(fn() -> Answer),
    /// What no server of HTTP says.
    Speech(fn() -> Speech),
}

use Misdeed::{Answer as Gives, Speech as Says};

const MISDEEDS: [(&str, Misdeed); 29] = [
    ("a body of 1 GiB", Gives(|| Answer::normal().body_size(1 << 30))),
    ("a chunked body without end", Gives(|| Answer::normal().body_size(u64::MAX).chunked())),
    ("a refusal of 1 GiB", Gives(|| Answer::status(503).body_size(1 << 30))),
    ("a head without end", Gives(|| Answer::normal().endless_head())),
    ("a byte a second", Gives(|| Answer::normal().pace(1, Duration::from_secs(1)))),
    (
        "a byte a millisecond, without end",
        Gives(|| Answer::normal().body_size(1 << 30).pace(1, Duration::from_millis(1))),
    ),
    ("silence", Gives(Answer::never)),
    ("silence within the head", Gives(|| Answer::normal().pause(Place::InHead, HOUR))),
    ("silence within the body", Gives(|| Answer::normal().pause(Place::InBody, HOUR))),
    ("less than declared", Gives(|| Answer::normal().content_length(1 << 62))),
    ("an end within the head", Gives(|| Answer::normal().cut(Place::InHead))),
    ("JSON 100,000 deep", Gives(|| Answer::normal().nested_json(100_000))),
    ("1 MiB of JSON, deep", Gives(|| Answer::normal().nested_json(1 << 19))),
    (
        "a receipt of 10 MiB",
        Gives(|| {
            listed("results", r#"{"event_id":null,"status":"rejected","error":"no"}"#, 10 << 20)
        }),
    ),
    ("1 MiB of results", Gives(|| listed("results", "{}", LARGEST))),
    ("1 MiB of results with members", Gives(|| listed("results", r#"{"a":0}"#, LARGEST))),
    ("1 MiB of numbers", Gives(|| listed("results", "0", LARGEST))),
    (
        "1 MiB of members",
        Gives(|| {
            let members: Vec<_> = (0..80_000).map(|n| format!(r#""{n:x}":{{}}"#)).collect();
            Answer::normal().body(format!("{{{}}}", members.join(",")))
        }),
    ),
    (
        "an error of 1 MiB",
        Gives(|| {
            let error = "{},".repeat(LARGEST / 3 - 20);
            Answer::normal().body(format!(r#"{{"results":[{{"error":[{error}0]}}]}}"#))
        }),
    ),
    (
        "a number of 1 MiB",
        Gives(|| {
            let arrays = "[],".repeat(LARGEST / 3 - 20);
            Answer::normal().body(format!(r#"{{"rejected":[{arrays}0],"results":7}}"#))
        }),
    ),
    (
        "1 MiB of percentiles",
        Gives(|| {
            let percentiles: Vec<_> = (0..90_000).map(|n| format!(r#""p{n:x}":0"#)).collect();
            let (tokens, rest) = (percentiles.join(","), r#""output_tokens":{"median":1}"#);
            let data = format!(r#"{{"input_tokens":{{"median":1,{tokens}}},{rest}}}"#);
            Answer::normal().body(format!(r#"{{"results":[{{"prediction":{data}}}]}}"#))
        }),
    ),
    ("what calls itself gzip", Gives(|| encoded("gzip"))),
    ("what calls itself an encoding of nobody", Gives(|| encoded("x-unheard-of, br"))),
    (
        "100,000 headers",
        Says(|| {
            Speech::answer(format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(100_000)), "")
        }),
    ),
    ("a status without end", Says(|| Speech::answer("HTTP/1.1 200 ", "long "))),
    ("go-aheads without end", Says(|| Speech::answer("", "HTTP/1.1 100 Continue\r\n\r\n"))),
    (
        "a chunk's size without end",
        Says(|| Speech::answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "long")),
    ),
    (
        "trailers without end",
        Says(|| {
            Speech::answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", "a: b\r\n")
        }),
    ),
    (
        "an answer to nobody's question",
        Says(|| Speech::at_once("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "")),
    ),
];

/// Of an answer's body, that much is read.
const LARGEST: usize = 1 << 20;

/// A list of at most `size` bytes.
fn listed(key: &str, item: &str, size: usize) -> Answer {
    let items = format!("{item},").repeat((size - 100) / (item.len() + 1));
    Answer::normal().body(format!(r#"{{"{key}":[{items}{item}]}}"#))
}

fn encoded(encoding: &str) -> Answer {
    // The beginning of a gzip file, and what is none.
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    body.resize(LARGEST, 0x5a);
    Answer::normal().header("content-encoding", encoding).body(body)
}

/// What a client went through.
#[derive(Clone, Copy, Default)]
struct Outcome {
    requests: u64,
    /// In KiB, where it can be known.
    rise: Option<u64>,
    longest: Duration,
}

fn attempt(name: &str, misdeed: &Misdeed, kind: Kind) -> Outcome {
    let collector = collector();
    let speech = match misdeed {
        Gives(_) => None,
        Says(speech) => Some(Front::start(collector.addr(), speech())),
    };
    let url = speech.as_ref().map_or_else(|| collector.url(), Front::url);
    let settings = Settings { request_timeout: TIMEOUT, ..Settings::new(kind, url) };
    let mut client = Remote::start(CLIENT, &settings);
    warm_up(&mut client, &collector);

    let before = Sizes::of(client.id());
    let _ = Sizes::forget_peak(client.id());
    match (misdeed, &speech) {
        (Gives(answer), _) => collector.fault(answer()),
        (_, Some(front)) => front.speak(true),
        _ => {}
    }
    let mut outcome = Outcome::default();
    for _ in 0..evidence::scale(1, 5) {
        client.order(Order::Track(3));
        for order in [Order::Flush(AMPLE), Order::Predict] {
            let report = client.order(order);
            outcome.longest = outcome.longest.max(report.longest);
            assert!(report.took < AMPLE, "{name}, {kind:?}: {report:?}");
        }
    }
    let after = Sizes::of(client.id());
    outcome.rise = before.zip(after).map(|(b, a)| a.peak.saturating_sub(b.resident));
    let rise = outcome.rise;
    assert!(rise.is_none_or(|rise| rise < MOST), "{name}, {kind:?}: {rise:?} KiB");
    // What hangs, hangs for an hour; in between it is the machine.
    assert!(outcome.longest < TIMEOUT + AMPLE / 6, "{name}, {kind:?}: {:?}", outcome.longest);

    collector.clear_faults();
    if let Some(front) = &speech {
        front.speak(false);
    }
    client.order(Order::Track(3));
    let delivers = succeeds(&mut client, Order::Flush(AMPLE));
    let report = client.order(Order::Stop);
    assert!(delivers && report.is_balanced, "{name}, {kind:?}: {report:?}");
    assert_eq!((report.pending, report.panics), (0, 0), "{name}, {kind:?}");
    let last = collector.events().last().map(|event| event.event_id.as_u128());
    assert_eq!(last, Some(report.tracked.into()), "{name}, {kind:?}");
    Outcome { requests: report.requests, ..outcome }
}

/// Has the client need all that it needs with a good server, and with one that is busy.
fn warm_up(client: &mut Remote, collector: &Collector) {
    for answer in [Answer::normal(), Answer::status(503), Answer::close(), Answer::normal()] {
        client.order(Order::Track(100));
        for order in [Order::Flush(AMPLE), Order::Predict] {
            collector.clear_faults();
            collector.fault(answer.clone());
            client.order(order);
        }
    }
    collector.clear_faults();
    assert!(succeeds(client, Order::Flush(AMPLE)) && succeeds(client, Order::Predict));
}

/// After a few tries: a connection may be spoilt still, and the machine may be busy.
fn succeeds(client: &mut Remote, order: Order) -> bool {
    (0..20).any(|_| client.order(order).is_done)
}

#[test]
fn no_server_takes_a_clients_memory_or_time() {
    let cases: Vec<_> =
        MISDEEDS.iter().flat_map(|it| Kind::ALL.map(|kind| (it.0, &it.1, kind))).collect();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, misdeed, kind)) =
                    cases.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let outcome = attempt(name, misdeed, *kind);
                    outcomes.lock().expect("nobody panics with it").push((outcome, name));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("nobody panics with it");
    let most = outcomes.iter().max_by_key(|(it, _)| it.rise).expect("a case");
    let longest = outcomes.iter().map(|(it, _)| it.longest).max().unwrap_or_default();
    let requests: u64 = outcomes.iter().map(|(it, _)| it.requests).sum();
    evidence::tried(
        "R16",
        format_args!(
            "{} misdeeds with each client, {requests} reports; memory rose by {} KiB at the most \
             ({}); the longest request took {longest:?} of {TIMEOUT:?}",
            MISDEEDS.len(),
            most.0.rise.map_or_else(|| "?".to_owned(), |rise| rise.to_string()),
            most.1,
        ),
    );
}

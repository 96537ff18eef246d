//! The memory of a client is bounded while requests fail.

use std::{
    io::{self, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use mosaicstack_telemetry::RetryPolicy;
use telemetry_tests::{config, long_tests, resident, track};

use crate::{
    client::{Client, Kind},
    security::servers::{Received, Server, answer, request},
    support::{ABSENT, run_alone},
};

/// Bound of the rise after the first tenth of the events, in KiB.
const MOST: u64 = 4 * 1024;

#[test]
fn memory_is_bounded_while_requests_fail() {
    if run_alone(memory_is_bounded_while_requests_fail, &[]).is_some() {
        return;
    }
    for (name, speak, long) in [
        // The most requests are possible where each fails at once.
        ("absent", None, 10_000_000),
        ("busy", Some(busy as Speak), 1_000_000),
        ("closing", Some(drop), 1_000_000),
        ("silent", Some(|mut stream| drop(io::copy(&mut stream, &mut io::sink()))), 1_000_000),
    ] {
        let events = if long_tests() { long } else { 50_000 };
        Kind::ALL.into_iter().for_each(|kind| check(kind, name, speak, events));
    }
}

/// A server's part of a connection. It keeps nothing: its memory is measured, too.
type Speak = fn(TcpStream);

fn busy(stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    while request(&mut stream, &Received::default()).is_some() {
        let _ = stream.get_mut().write_all(&answer("503 Busy", ""));
    }
}

/// Tracks `events` through a full queue, with this server or none.
fn check(kind: Kind, name: &str, speak: Option<Speak>, events: usize) {
    let server = speak.map(|speak| Server::speaking(move |stream, _| speak(stream)));
    let url = server.as_ref().map_or_else(|| ABSENT.into(), Server::url);
    // Attempts all the time: each takes a batch out of the queue and puts it back.
    let initial_backoff = Duration::from_millis(1);
    let config = config(&url)
        .retry_policy(RetryPolicy { initial_backoff, ..RetryPolicy::default() })
        .submit_interval(Duration::from_millis(5))
        .request_timeout(Duration::from_millis(50))
        .shutdown_timeout(Duration::ZERO);
    let client = Client::start(kind, config.build().expect("a configuration"));
    let handle = client.handle();
    track(&handle, events / 10);
    // A few attempts first, however slow the machine is.
    let mut tries = (0..1_000).map(|_| client.flush(Duration::from_millis(30)));
    assert!(tries.any(|_| handle.stats().requests >= 3), "{kind:?}, {name}");
    let before = resident();
    for _ in 0..9 {
        for _ in 0..events / 10 {
            handle.track(handle.event().build());
        }
        let _ = client.flush(Duration::from_millis(30));
    }
    if let Some((before, after)) = before.zip(resident()) {
        assert!(after < before + MOST, "{kind:?}, {name}: {after} KiB, before: {before} KiB");
    }
    let stats = client.stop();
    assert!(stats.is_balanced(), "{kind:?}, {name}: {stats:?}");
    // The queue and the batch in flight.
    assert!(stats.pending <= 1_100, "{kind:?}, {name}: {stats:?}");
    assert_eq!((stats.tracked, stats.delivered), (events as u64, 0), "{kind:?}, {name}");
}

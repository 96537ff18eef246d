//! A panic at each point where code of others runs on a worker: it costs one attempt at most.

mod blocking;
mod nonblocking;

use std::{
    error::Error,
    fmt, panic,
    sync::{Arc, Mutex, PoisonError},
};

use mosaicstack_telemetry::{
    Request, Response, Stats, TelemetryConfig, TelemetryConfigBuilder, TelemetryHandle,
    TransportError,
};
use telemetry_tests::{events, evidence, status, track};
use uuid::Uuid;

use crate::blocking::eager;

/// Where code of others panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The transport, before anything has been sent.
    Called,
    /// The transport, after the server has taken the events.
    Answered,
    /// What the transport's panic carries, when it is dropped.
    Carried,
    /// The transport's error, when it is read for the log.
    Shown,
    /// The transport's error, when it is dropped.
    Forgotten,
    /// The transport's future, when it is polled.
    Polled,
    /// The transport's future, when it is dropped after the answer.
    Dropped,
}

impl Point {
    /// Those that a transport without futures has.
    const BLOCKING: [Self; 5] =
        [Self::Called, Self::Answered, Self::Carried, Self::Shown, Self::Forgotten];

    /// Panics, or makes the error that will.
    fn reach(self, server: &Server, request: &Request) -> Result<Response, TransportError> {
        match self {
            Self::Answered => {
                server.take(request);
                resume(Box::new("after the answer"))
            }
            Self::Carried => resume(Box::new(Bomb { when_shown: false })),
            Self::Shown => Err(TransportError::network(Bomb { when_shown: true })),
            Self::Forgotten => Err(TransportError::network(Bomb { when_shown: false })),
            Self::Called | Self::Polled | Self::Dropped => resume(Box::new("without a message")),
        }
    }

    /// How many requests it costs.
    fn attempts(self) -> u64 {
        u64::from(self != Self::Dropped)
    }

    /// Whether the server has the events all the same, so that they come again.
    fn is_ambiguous(self) -> bool {
        self == Self::Answered
    }
}

/// Panics when it is shown, or else when it is dropped.
#[derive(Debug)]
struct Bomb {
    when_shown: bool,
}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.when_shown {
            resume(Box::new("nothing to show"));
        }
        f.write_str("a bomb")
    }
}

impl Error for Bomb {}

impl Drop for Bomb {
    fn drop(&mut self) {
        if !self.when_shown {
            resume(Box::new("not to be dropped"));
        }
    }
}

/// Panics, and prints nothing.
fn resume(payload: Box<dyn std::any::Any + Send>) -> ! {
    panic::resume_unwind(payload)
}

/// What a server has been sent.
#[derive(Clone, Debug, Default)]
struct Server(Arc<Mutex<Vec<Uuid>>>);

impl Server {
    fn take(&self, request: &Request) -> Response {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.extend(events(request.body()).iter().map(|event| event.event_id));
        status(200)
    }

    fn taken(&self) -> Vec<Uuid> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// So many events, in batches of that size; one request of them meets the panic.
#[derive(Clone, Copy, Debug)]
struct Case {
    events: usize,
    batch: usize,
    /// From 0 on.
    request: usize,
}

impl Case {
    fn new(seed: usize) -> Self {
        let (events, batch) = (1 + seed * 37 % 90, 1 + seed * 13 % 30);
        Self { events, batch, request: seed * 7 % events.div_ceil(batch) }
    }

    fn config(self) -> TelemetryConfig {
        // Nothing is sent before all is tracked, or the batches would not be known.
        let config = eager("https://example.com").batch_size(self.batch).early_flush(false);
        config.build().expect("right")
    }

    /// What has to be true at the end, if one event more was tracked after the panic.
    fn check(self, point: Point, tracked: &[Uuid], server: &Server, stats: Stats) {
        let requests = self.events.div_ceil(self.batch) as u64 + 1 + point.attempts();
        let numbers = (stats.delivered, stats.pending, stats.panics, stats.requests);
        assert_eq!(numbers, (tracked.len() as u64, 0, 1, requests), "{point:?} {self:?}");
        assert!(stats.is_balanced());
        let mut expected = tracked.to_vec();
        if point.is_ambiguous() {
            // The batch that was taken without a word, once more.
            let from = self.request * self.batch;
            let to = (from + self.batch).min(self.events);
            expected.splice(from..from, tracked[from..to].iter().copied());
        }
        assert_eq!(server.taken(), expected, "{point:?} {self:?}");
    }
}

/// Makes a worker log all that it has to say: evictions, failures, a cycle that gives up, refusals,
/// recovery, and events that are rejected.
#[derive(Clone, Copy, Debug)]
struct Tour {
    seed: usize,
}

impl Tour {
    const FLUSHES: usize = 4;

    fn config(self) -> TelemetryConfigBuilder {
        eager("https://example.com").max_queue_size(10).batch_size(10).max_retries(1)
    }

    /// Tracks what the flush with that number is to find.
    fn track(self, flush: usize, handle: &TelemetryHandle) {
        match flush {
            0 => drop(track(handle, 11 + self.seed)),
            3 => drop(track(handle, 1 + self.seed % 9)),
            _ => {}
        }
    }

    /// The answer to the request with that number, from 0 on.
    fn answer(self, request: usize) -> Response {
        match request {
            0 | 1 => status(503),
            2 => status(403),
            3 => {
                let results = vec![r#"{"status":"rejected"}"#; 6 + self.seed % 4].join(",");
                Response::new(format!("{{\"results\":[{results}]}}").into_bytes())
            }
            // As many as it takes to find the first event at fault, or one more of the others.
            4..=8 => status(422),
            _ => status(200),
        }
    }
}

/// What panics of the log must not change.
fn outcome(stats: Stats) -> (u64, u64, u64, u64, u64) {
    assert!(stats.is_balanced());
    (stats.delivered, stats.rejected, stats.evicted, stats.pending, stats.requests)
}

/// Takes tours in which the log panics once, at each of its lines in turn, of which there are at least
/// so many; returns how often it did. `tour` panics at a line, if at any, and counts the lines.
fn at_each_line(least: usize, tour: impl Fn(Tour, Option<usize>) -> (Stats, usize)) -> u64 {
    let mut panics = 0;
    for seed in 0..evidence::scale(1, 100) {
        let it = Tour { seed };
        let (clean, lines) = tour(it, None);
        assert!(lines >= least, "{lines}");
        for line in 1..=lines {
            let (stats, _) = tour(it, Some(line));
            assert_eq!((outcome(stats), stats.panics), (outcome(clean), 1), "{it:?} line {line}");
            panics += stats.panics;
        }
    }
    panics
}

//! A panic at each point where foreign code runs on a worker costs one attempt at most.

use std::{
    error::Error,
    fmt, panic,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Stats, TelemetryClient, TelemetryConfig,
    transport::{Request, Response, TransportError},
};
use telemetry_tests::{Log, events, long_tests, status, track};
use tokio::{runtime::Builder, time};
use uuid::Uuid;

use crate::{
    client::{Client, Kind, Reply},
    support::{AMPLE, eager, returned},
};

const URL: &str = "https://example.com";

/// Code of the transport that panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// In the transport, before it sends anything.
    BeforeSending,
    /// In the transport, after the server has taken the events.
    AfterResponse,
    /// In the drop of the panic's payload.
    PayloadDrop,
    /// In the display of the transport's error.
    ErrorDisplay,
    /// In the drop of the transport's error.
    ErrorDrop,
}

impl Point {
    /// Panics, or makes the error that will.
    fn reach(self, server: &Server, request: &Request) -> Reply {
        match self {
            Self::BeforeSending => resume(),
            Self::AfterResponse => {
                server.take(request);
                resume()
            }
            Self::PayloadDrop => panic::resume_unwind(Box::new(Bomb { when_shown: false })),
            Self::ErrorDisplay => Err(TransportError::network(Bomb { when_shown: true })),
            Self::ErrorDrop => Err(TransportError::network(Bomb { when_shown: false })),
        }
    }
}

/// Panics when it is displayed, or else when it is dropped.
#[derive(Debug)]
struct Bomb {
    when_shown: bool,
}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.when_shown {
            resume();
        }
        f.write_str("a bomb")
    }
}

impl Error for Bomb {}

impl Drop for Bomb {
    fn drop(&mut self) {
        if !self.when_shown {
            resume();
        }
    }
}

/// Panics without a message on stderr.
fn resume() -> ! {
    panic::resume_unwind(Box::new("a panic without a message"))
}

/// Ids of the events that the server has taken.
#[derive(Clone, Debug, Default)]
struct Server(Arc<Mutex<Vec<Uuid>>>);

impl Server {
    fn take(&self, request: &Request) -> Response {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.extend(events(request.body()).iter().map(|event| event.event_id));
        status(200)
    }
}

/// Numbers of events and of events per batch; the request with this index panics.
const CASES: [(usize, usize, usize); 4] = [(1, 1, 0), (38, 14, 1), (75, 27, 2), (90, 9, 9)];

/// Delivers the events of each case, with a panic at this point.
fn deliver(kind: Kind, point: Point) {
    for (events, batch, request) in CASES {
        let (server, calls) = (Server::default(), AtomicUsize::new(0));
        let transport = {
            let server = server.clone();
            move |it: Request| {
                if calls.fetch_add(1, Ordering::Relaxed) == request {
                    return point.reach(&server, &it);
                }
                Ok(server.take(&it))
            }
        };
        // The batches are known only if all events are tracked before the first is sent.
        let config =
            eager(URL).batch_size(batch).early_flush(false).build().expect("a valid configuration");
        let client = Client::with_transport(kind, config, transport);
        let mut tracked = track(&client.handle(), events);
        client.flush(AMPLE).expect("the server accepts the events");
        tracked.extend(track(&client.handle(), 1));
        let stats = client.stop();

        let case = format!("{kind:?} {point:?} {events} {batch} {request}");
        let counters = (stats.delivered, stats.pending, stats.panics, stats.requests);
        let requests = events.div_ceil(batch) as u64 + 2;
        assert_eq!(counters, (tracked.len() as u64, 0, 1, requests), "{case}");
        assert!(stats.is_balanced());
        if point == Point::AfterResponse {
            // The batch whose response was lost is sent again.
            let (from, to) = (request * batch, ((request + 1) * batch).min(events));
            let again = tracked[from..to].to_vec();
            tracked.splice(from..from, again);
        }
        let taken = server.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*taken, tracked, "{case}");
    }
}

#[test]
fn panic_of_the_transport_costs_one_attempt() {
    let points = [
        Point::BeforeSending,
        Point::AfterResponse,
        Point::PayloadDrop,
        Point::ErrorDisplay,
        Point::ErrorDrop,
    ];
    for kind in Kind::ALL {
        points.into_iter().for_each(|point| deliver(kind, point));
    }
}

/// Future of a response that panics when it is polled or when it is dropped.
struct Responding {
    reply: Option<Reply>,
    panics_in_drop: bool,
}

impl Future for Responding {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        self.reply.take().map_or_else(|| resume(), Poll::Ready)
    }
}

impl Drop for Responding {
    fn drop(&mut self) {
        if self.panics_in_drop {
            resume();
        }
    }
}

fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(test)
}

#[test]
fn panic_of_the_transport_future_costs_one_attempt_at_most() {
    // The response is known when the future is dropped.
    for (panics_in_drop, requests) in [(false, 4), (true, 3)] {
        let calls = AtomicUsize::new(0);
        let transport = move |_: Request| {
            let panics = calls.fetch_add(1, Ordering::Relaxed) == 1;
            let reply = (panics_in_drop || !panics).then(|| Ok(status(200)));
            // Not inside an `async` block, which would drop it while it is polled.
            Responding { reply, panics_in_drop: panics && panics_in_drop }
        };
        let config = eager(URL).batch_size(10).early_flush(false).build().unwrap();
        let stats = in_virtual_time(async {
            let client = AsyncTelemetryClient::with_transport(config, transport);
            track(&client.handle(), 25);
            client.stop().await
        });
        let counters = (stats.delivered, stats.pending, stats.panics, stats.requests);
        assert_eq!(counters, (25, 0, 1, requests));
        assert!(stats.is_balanced());
    }
}

#[test]
fn transport_that_always_panics_is_stopped() {
    for kind in Kind::ALL {
        let config = eager(URL).build().unwrap();
        let client = Client::with_transport(kind, config, |_| resume());
        track(&client.handle(), 3);
        let stats = returned(move || {
            client.flush(5 * AMPLE).unwrap_err();
            client.stop()
        });
        assert_eq!((stats.pending, stats.delivered), (3, 0));
        assert_eq!((stats.requests, stats.panics), (8, 8), "twice one attempt and three retries");
        assert!(stats.is_balanced());
    }
}

/// A schedule in which a worker logs all its messages: evictions, failures, a cycle that gives up,
/// a misconfiguration and its end, and events that are rejected. The log panics at this line; returns
/// the number of lines as well.
fn log_everything(seed: usize, line: Option<usize>) -> (Stats, usize) {
    let log = Log::new();
    log.panic_at(line);
    let calls = AtomicUsize::new(0);
    let bad = OnceLock::new();
    let transport = move |request: Request| {
        let response = match calls.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => status(503),
            2 => status(403),
            3 => {
                let results = vec![r#"{"status":"rejected"}"#; 6 + seed % 4].join(",");
                Response::new(format!("{{\"results\":[{results}]}}").into_bytes())
            }
            _ => {
                let ids: Vec<_> = events(request.body()).iter().map(|it| it.event_id).collect();
                status(if ids.contains(bad.get_or_init(|| ids[0])) { 422 } else { 200 })
            }
        };
        std::future::ready(Ok(response))
    };
    let config = eager(URL).max_queue_size(10).batch_size(10).max_retries(1);
    let config = config.build().expect("a valid configuration");
    let stats = in_virtual_time(async {
        let client = AsyncTelemetryClient::with_transport(config, transport);
        for events in [11 + seed, 0, 0, 2 + seed % 8] {
            track(&client.handle(), events);
            let _ = client.flush(AMPLE).await;
        }
        client.stop().await
    });
    (stats, log.count())
}

#[test]
fn panic_of_the_log_subscriber_at_any_line_changes_no_counter() {
    for seed in 0..if long_tests() { 100 } else { 3 } {
        let (mut expected, lines) = log_everything(seed, None);
        assert!(lines >= 12, "{lines}");
        assert!(expected.is_balanced());
        expected.panics = 1;
        for line in 1..=lines {
            assert_eq!(log_everything(seed, Some(line)).0, expected, "seed {seed}, line {line}");
        }
    }
}

#[test]
fn panic_of_the_log_subscriber_reaches_no_caller() {
    let undelivered = |kind| {
        let config = eager(URL).shutdown_timeout(Duration::ZERO).build().unwrap();
        let client = Client::with_transport(kind, config, |_| Ok(status(503)));
        track(&client.handle(), 1);
        client
    };
    let disabled = TelemetryConfig::disabled;
    let calls: [(&str, &dyn Fn()); 5] = [
        ("invalid configuration", &|| drop(eager(URL).batch_size(0).build_or_disabled())),
        ("disabled", &|| drop(TelemetryClient::start(disabled()))),
        ("disabled on tokio", &|| drop(AsyncTelemetryClient::start(disabled()))),
        ("no runtime", &|| drop(AsyncTelemetryClient::start(eager(URL).build().unwrap()))),
        ("drop", &|| drop(undelivered(Kind::Blocking))),
    ];
    for (name, call) in calls {
        let log = Log::new();
        log.panic_at(Some(1));
        call();
        assert_eq!(log.count(), 1, "{name}: nothing is logged");
    }
}

#[test]
fn panic_of_the_log_subscriber_in_a_dry_run_costs_nothing() {
    let (batches, lines) = (3, 9); // of a batch and its two events
    for line in 1..=lines {
        // At the end: a pause after the panic would be longer than the last drain.
        for shutdown_timeout in [AMPLE, Duration::from_millis(500)] {
            let log = Log::new();
            let transport = |_: Request| std::future::ready(Ok(status(500)));
            let stats = in_virtual_time(async {
                let config = eager(URL).dry_run(true).batch_size(2).early_flush(false);
                let config = config.shutdown_timeout(shutdown_timeout).build().unwrap();
                let client = AsyncTelemetryClient::with_transport(config, transport);
                // Asleep, so that the stop alone wakes the task.
                time::sleep(Duration::from_secs(1)).await;
                track(&client.handle(), 2 * batches);
                log.panic_at(Some(line));
                client.stop().await
            });
            let counters = (stats.dropped.dry_run, stats.pending, stats.panics);
            assert_eq!(counters, (6, 0, 1), "line {line}");
            // The panic costs the rest of its batch's lines.
            assert_eq!(log.count(), lines - (2 - (line - 1) % 3), "line {line}");
        }
    }
}

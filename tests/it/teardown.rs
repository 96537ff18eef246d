//! Flushing, stopping and dropping return by their deadline, whatever the server does.

mod nonblocking;

use std::{
    any::Any,
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use mosaicstack_telemetry::{
    Request, Response, TelemetryClient, Transport, TransportError, UreqTransport,
};
use telemetry_collector::Answer;
use telemetry_tests::{config, status, track};

use crate::blocking::{ABSENT, AMPLE, collector, returned};

/// How much later than its deadline a call may return.
const SLACK: Duration = Duration::from_millis(50);

/// How often a call may try to be in time: the machine has other things to do.
const TRIES: usize = 3;

const DEADLINES: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_secs(1)];

/// A server's URL, and what keeps it alive.
type Server = (String, Box<dyn Any + Send>);

type Start = fn() -> Server;

/// Each kind of server, and how to start it.
const SERVERS: [(&str, Start); 11] = [
    ("healthy", || scripted(Answer::normal())),
    ("slow", || scripted(Answer::normal().delay(Duration::from_millis(33)))),
    ("absent", absent),
    ("silent", || scripted(Answer::never())),
    ("trickling", trickling),
    ("busy", || scripted(Answer::status(503))),
    ("pausing", || scripted(Answer::status(503).header("retry-after", "600"))),
    ("urging", || scripted(Answer::status(503).header("retry-after", "0"))),
    ("refusing the key", || scripted(Answer::status(403))),
    ("refusing events", || scripted(Answer::status(400))),
    ("closing", || scripted(Answer::close())),
];

/// Calls a client with a deadline, which is that of its configuration too.
type Call = fn(TelemetryClient, Duration) -> Option<TelemetryClient>;

/// Each call, and whether it comes in the middle of an attempt.
const CALLS: [(&str, Call, bool); 5] = [
    ("flush", flush, false),
    ("flush in the middle of an attempt", flush, true),
    ("stop", stop, false),
    ("stop in the middle of an attempt", stop, true),
    ("drop in the middle of an attempt", |_, _| None, true),
];

fn flush(client: TelemetryClient, deadline: Duration) -> Option<TelemetryClient> {
    // Whether all of it was settled in time is the server's affair.
    let _ = client.flush(deadline);
    Some(client)
}

fn stop(client: TelemetryClient, _: Duration) -> Option<TelemetryClient> {
    let stats = client.stop();
    assert!(stats.is_balanced(), "{stats:?}");
    None
}

/// A collector that gives the same answer as often as a test can ask.
fn scripted(answer: Answer) -> Server {
    let collector = collector();
    collector.script(vec![answer; 20_000]);
    (collector.url().to_owned(), Box::new(collector))
}

/// A port on which nobody listens, and that no collector can be given.
fn absent() -> Server {
    (ABSENT.to_owned(), Box::new(()))
}

/// A server that sends a byte of its answer every few milliseconds, and never the last one.
fn trickling() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (alive, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client connects");
        let pause = Duration::from_millis(5);
        stream.set_read_timeout(Some(pause)).expect("a valid time-out");
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".iter();
        for byte in answer.chain(std::iter::repeat(&b'x')) {
            // Waits for the pause, or reads some of the request.
            let closed = matches!(stream.read(&mut [0; 65_536]), Ok(0));
            if closed || stream.write_all(&[*byte]).is_err() {
                return;
            }
            if ended.try_recv() == Err(TryRecvError::Disconnected) {
                return;
            }
        }
    });
    (url, Box::new(alive))
}

#[expect(clippy::disallowed_methods, reason = "the deadlines are those of the real clock")]
fn now() -> Instant {
    Instant::now()
}

struct Case {
    name: String,
    server: Start,
    call: Call,
    is_under_way: bool,
    deadline: Duration,
}

impl Case {
    fn all() -> impl Iterator<Item = Self> {
        SERVERS.into_iter().flat_map(|(state, server)| {
            CALLS.into_iter().flat_map(move |(name, call, is_under_way)| {
                DEADLINES.map(|deadline| {
                    let name = format!("{name} within {deadline:?}, {state}");
                    Self { name, server, call, is_under_way, deadline }
                })
            })
        })
    }

    /// Returns how long the call took.
    fn run(&self) -> Duration {
        let (url, alive) = (self.server)();
        let config = config(&url).early_flush(self.is_under_way).shutdown_timeout(self.deadline);
        let config = config.build().expect("a configuration");
        let (held, thread) = mpsc::channel::<()>();
        let ureq = UreqTransport::new();
        let client = TelemetryClient::with_transport(config, move |request: Request| {
            let _held = &held;
            ureq.send(request)
        });
        let handle = client.handle();
        track(&handle, 1_000);

        let start = now();
        let client = (self.call)(client, self.deadline);
        let took = start.elapsed();

        drop((alive, client));
        // Disconnected when an attempt that was left to itself is over, too.
        assert_eq!(thread.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
        let stats = handle.stats();
        assert_eq!(stats.tracked, 1_000);
        assert!(stats.is_balanced(), "{}: {stats:?}", self.name);
        took
    }
}

#[test]
fn every_call_returns_in_time_with_every_server() {
    let cases: Vec<_> = Case::all().collect();
    all_in_time(&cases, |case| (&case.name, case.deadline), Case::run);
}

/// Runs the cases, and those that are late again, no longer four at a time.
fn all_in_time<C: Sync>(
    cases: &[C],
    describe: impl Fn(&C) -> (&str, Duration),
    run: impl Fn(&C) -> Duration + Sync,
) {
    let next = AtomicUsize::new(0);
    let took = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let time = run(case);
                    took.lock().expect("nobody panics with it").push((case, time));
                }
            });
        }
    });
    for (case, time) in took.into_inner().expect("nobody panics with it") {
        let (name, deadline) = describe(case);
        if time > deadline + SLACK {
            in_time(name, deadline, || run(case));
        }
    }
}

/// Fails unless the quickest of a few tries is over by the deadline.
fn in_time(name: &str, deadline: Duration, call: impl FnMut() -> Duration) {
    let tries = std::iter::repeat_with(call).take(TRIES);
    let mut took = Vec::new();
    for one in tries {
        took.push(one);
        if one <= deadline + SLACK {
            return;
        }
    }
    panic!("{name}: {took:?}");
}

/// A transport that says when it is called, and returns when the sender is dropped.
fn stuck() -> (
    impl Fn(Request) -> Result<Response, TransportError> + Send + Sync + 'static,
    mpsc::Receiver<()>,
    mpsc::Sender<()>,
) {
    let (called, calls) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let transport = move |_: Request| {
        let _ = called.send(());
        let _ = released.lock().map(|released| released.recv());
        Ok(status(200))
    };
    (transport, calls, release)
}

/// Runs `call` with a client in the middle of an attempt that does not end; returns what `call`
/// does and how long it took.
fn while_stuck<T: Send + 'static>(
    call: impl FnOnce(TelemetryClient) -> T + Send + 'static,
) -> (T, Duration) {
    let (transport, calls, release) = stuck();
    let config = config("https://example.com").shutdown_timeout(Duration::from_millis(50));
    let config = config.build().expect("a configuration");
    let client = TelemetryClient::with_transport(config, transport);
    track(&client.handle(), 100);
    calls.recv_timeout(AMPLE).expect("a full batch is sent");
    let result = returned(move || {
        let start = now();
        let result = call(client);
        (result, start.elapsed())
    });
    drop(release);
    result
}

#[test]
fn a_flush_returns_though_the_transport_does_not() {
    in_time("flush", Duration::from_millis(50), || {
        let ((client, result), took) = while_stuck(|client| {
            let result = client.flush(Duration::from_millis(50));
            (client, result)
        });
        assert_eq!(result.unwrap_err().pending, 100);
        drop(client);
        took
    });
}

#[test]
fn a_stop_returns_though_the_transport_does_not() {
    in_time("stop", Duration::from_millis(50), || {
        let (stats, took) = while_stuck(TelemetryClient::stop);
        assert_eq!((stats.pending, stats.delivered), (100, 0));
        assert!(stats.is_balanced());
        took
    });
}

#[test]
fn a_drop_returns_though_the_transport_does_not() {
    in_time("drop", Duration::from_millis(50), || while_stuck(drop).1);
}

#[test]
fn an_attempt_that_is_left_to_itself_is_still_booked_and_is_the_last() {
    let (transport, calls, release) = stuck();
    let config = config("https://example.com").shutdown_timeout(Duration::ZERO).build().unwrap();
    let client = TelemetryClient::with_transport(config, transport);
    let handle = client.handle();
    track(&handle, 250);
    calls.recv_timeout(AMPLE).unwrap();
    let stats = returned(|| client.stop());
    assert_eq!((stats.pending, stats.delivered), (250, 0));
    drop(release);
    // The transport is gone when the thread is.
    assert_eq!(calls.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
    let stats = handle.stats();
    assert_eq!((stats.pending, stats.delivered, stats.requests), (150, 100, 1));
    assert!(stats.is_balanced());
}

#[test]
fn a_flush_waits_no_longer_for_another_thread_than_for_its_own_deadline() {
    let (transport, calls, release) = stuck();
    let config = config("https://example.com").shutdown_timeout(Duration::ZERO).build().unwrap();
    let client = TelemetryClient::with_transport(config, transport);
    track(&client.handle(), 100);
    calls.recv_timeout(AMPLE).unwrap();
    thread::scope(|scope| {
        let long = scope.spawn(|| client.flush(AMPLE));
        assert_eq!(client.flush(Duration::ZERO).unwrap_err().pending, 100);
        drop(release);
        long.join().unwrap().unwrap();
    });
}

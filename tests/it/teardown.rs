//! Flushing, stopping and dropping return by their deadline, whatever the server does.

mod nonblocking;
mod servers;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use mosaicstack_telemetry::{
    Request, Response, TelemetryClient, TelemetryConfigBuilder, Transport, TransportError,
    UreqTransport,
};
use telemetry_tests::{config, evidence, status, track};

use self::servers::{SERVERS, Start};
use crate::blocking::{AMPLE, returned};

/// How much later than its deadline a call may return.
const SLACK: Duration = Duration::from_millis(50);

/// How many cases run at the same time. Most of them wait.
const AT_ONCE: usize = 16;

/// How many events a client has, which fill its queue.
fn events() -> usize {
    evidence::scale(200, 1_000)
}

const DEADLINES: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_secs(1)];

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

#[expect(clippy::disallowed_methods, reason = "the deadlines are those of the real clock")]
fn now() -> Instant {
    Instant::now()
}

struct Case {
    name: String,
    server: Start,
    call: Call,
    is_under_way: bool,
    has_stuck_hook: bool,
    deadline: Duration,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for (state, server) in SERVERS {
            for (name, call, is_under_way) in CALLS {
                for (deadline, has_stuck_hook) in with_and_without_hook() {
                    let hook = told(has_stuck_hook);
                    let name = format!("{name} within {deadline:?}, {state}{hook}");
                    let case = Self { name, server, call, is_under_way, has_stuck_hook, deadline };
                    cases.push(case);
                }
            }
        }
        a_share(cases)
    }

    /// Returns how long the call took.
    fn run(&self) -> Duration {
        // What takes the machine comes one after the other, so that no call waits for it.
        let machine = MACHINE.lock().expect("nobody panics with it");
        let (url, alive) = (self.server)();
        let config = config(&url).early_flush(self.is_under_way).shutdown_timeout(self.deadline);
        let (config, hook) = hooked(config.max_queue_size(events()), self.has_stuck_hook);
        let config = config.build().expect("a configuration");
        let (held, thread) = mpsc::channel::<()>();
        let ureq = UreqTransport::new();
        let client = TelemetryClient::with_transport(config, move |request: Request| {
            let _held = &held;
            ureq.send(request)
        });
        let handle = client.handle();
        track(&handle, events());
        drop(machine);

        let (call, deadline) = (self.call, self.deadline);
        let (client, took) = returned(move || {
            let start = now();
            let client = call(client, deadline);
            (client, start.elapsed())
        });

        drop((alive, client, hook));
        // Disconnected when an attempt that was left to itself is over, too.
        assert_eq!(thread.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
        let stats = handle.stats();
        assert_eq!(stats.tracked, events() as u64);
        assert!(stats.is_balanced(), "{}: {stats:?}", self.name);
        took
    }
}

static MACHINE: Mutex<()> = Mutex::new(());

/// Each deadline, with a hook that never returns and with none.
fn with_and_without_hook() -> impl Iterator<Item = (Duration, bool)> {
    DEADLINES.into_iter().flat_map(|deadline| [(deadline, false), (deadline, true)])
}

const fn told(has_stuck_hook: bool) -> &'static str {
    if has_stuck_hook { ", with a hook that never returns" } else { "" }
}

/// A third of each server's cases, not the same one of each: in an ordinary run there is no time for
/// more, and each server, call, deadline and hook is among them.
fn a_share<C>(cases: Vec<C>) -> Vec<C> {
    let of_server = cases.len() / SERVERS.len();
    let share = evidence::scale(3, 1);
    let numbered = cases.into_iter().enumerate();
    let mine = numbered.filter(|(number, _)| (number + number / of_server).is_multiple_of(share));
    mine.map(|(_, case)| case).collect()
}

/// A hook that never returns, until what comes with it is dropped.
fn hooked(
    config: TelemetryConfigBuilder,
    is_stuck: bool,
) -> (TelemetryConfigBuilder, Option<mpsc::Sender<()>>) {
    if !is_stuck {
        return (config, None);
    }
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let hook = move |_: &_| {
        let _ = released.lock().map(|released| released.recv());
    };
    (config.on_notification(hook), Some(release))
}

#[test]
fn every_call_returns_in_time_with_every_server() {
    all_in_time("blocking", &Case::all(), |case| (&case.name, case.deadline), Case::run);
}

/// Runs the cases, many at a time, and those that are late once more, alone.
fn all_in_time<C: Sync>(
    client: &str,
    cases: &[C],
    describe: impl Fn(&C) -> (&str, Duration),
    run: impl Fn(&C) -> Duration + Sync,
) {
    let next = AtomicUsize::new(0);
    let took = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let time = run(case);
                    took.lock().expect("nobody panics with it").push((case, time));
                }
            });
        }
    });
    let (mut again, mut latest) = (0, Duration::ZERO);
    for (case, time) in took.into_inner().expect("nobody panics with it") {
        let (name, deadline) = describe(case);
        let mut late = time.saturating_sub(deadline);
        if late > SLACK {
            again += 1;
            late = once_more(name, deadline, time, || run(case)).saturating_sub(deadline);
        }
        latest = latest.max(late);
    }
    evidence::tried(
        "R5",
        format_args!(
            "{} cases of {} servers, {client}, {again} of them twice; at the latest {latest:?} \
             after the deadline",
            cases.len(),
            SERVERS.len(),
        ),
    );
}

/// Fails unless the call, or the second one, is over by the deadline.
fn in_time(name: &str, deadline: Duration, mut call: impl FnMut() -> Duration) {
    let first = call();
    if first > deadline + SLACK {
        once_more(name, deadline, first, call);
    }
}

/// The machine has other things to do, too, so a call that was late is made again. Says both times;
/// fails if the second one is late.
#[expect(clippy::print_stdout, reason = "that a call was late is to be seen")]
fn once_more(
    name: &str,
    deadline: Duration,
    first: Duration,
    mut call: impl FnMut() -> Duration,
) -> Duration {
    let second = call();
    println!("{name}: {first:?}, and again: {second:?}");
    assert!(second <= deadline + SLACK, "{name}: {first:?}, and again: {second:?}");
    second
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

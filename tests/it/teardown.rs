//! `flush`, `stop` and dropping a client end at most 50 ms after their deadline, with any server,
//! transport and callback.

mod servers;

use std::{
    any::Any,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, TelemetryClient,
    transport::{Request, Transport, UreqTransport},
};
use telemetry_tests::{config, long_tests, now, status, track};
use tokio::{runtime::Builder, task};

use self::servers::{SERVERS, Start};
use crate::{
    client::Client,
    support::{AMPLE, returned, stuck},
};

/// Tolerance after a deadline.
const SLACK: Duration = Duration::from_millis(50);

/// Cases that run at the same time; most of them wait.
const AT_ONCE: usize = 16;

const DEADLINES: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_secs(1)];

/// Runtime (none for the blocking client), call, and whether it is made during an attempt.
const CALLS: [(Option<Runtime>, Call, bool); 14] = [
    (None, Call::Flush, false),
    (None, Call::Flush, true),
    (None, Call::Stop, false),
    (None, Call::Stop, true),
    (None, Call::Drop, true),
    (Some(Builder::new_multi_thread), Call::Flush, false),
    (Some(Builder::new_current_thread), Call::Flush, true),
    (Some(Builder::new_multi_thread), Call::Stop, false),
    (Some(Builder::new_current_thread), Call::Stop, true),
    (Some(Builder::new_multi_thread), Call::Drop, false),
    (Some(Builder::new_current_thread), Call::Drop, true),
    (None, Call::Shutdown, true),
    (Some(Builder::new_multi_thread), Call::Shutdown, false),
    // Its runtime rests meanwhile.
    (Some(Builder::new_current_thread), Call::Shutdown, true),
];

type Runtime = fn() -> Builder;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Flush,
    Stop,
    Drop,
    /// Through a handle.
    Shutdown,
}

struct Case {
    name: String,
    start: Start,
    runtime: Option<Runtime>,
    call: Call,
    is_sending: bool,
    deadline: Duration,
}

/// Setup happens in one case at a time, so that no measured call competes with it.
static MACHINE: Mutex<()> = Mutex::new(());

/// Events of a client, which fill its queue.
fn events() -> usize {
    if long_tests() { 1_000 } else { 200 }
}

impl Case {
    /// An ordinary run has a third of the cases; each server, call and deadline is among them.
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for (s, (server, start)) in SERVERS.into_iter().enumerate() {
            for (c, (runtime, call, is_sending)) in CALLS.into_iter().enumerate() {
                for (d, deadline) in DEADLINES.into_iter().enumerate() {
                    if long_tests() || (s + c + d).is_multiple_of(3) {
                        let name = format!("{server}, {:?}, {deadline:?}", CALLS[c]);
                        cases.push(Self { name, start, runtime, call, is_sending, deadline });
                    }
                }
            }
        }
        cases
    }

    /// Dropping the client on tokio does not wait.
    fn limit(&self) -> Duration {
        let waits = self.runtime.is_none() || self.call != Call::Drop;
        SLACK + if waits { self.deadline } else { Duration::ZERO }
    }

    /// Returns the duration of the call.
    fn run(&self) -> Duration {
        let machine = MACHINE.lock().expect("not poisoned");
        let (url, server) = (self.start)();
        let config = config(&url).early_flush(self.is_sending).shutdown_timeout(self.deadline);
        let config = config.max_queue_size(events()).build().expect("a configuration");
        let (held, worker) = mpsc::channel::<()>();
        let client = match self.runtime {
            None => {
                let ureq = UreqTransport::new();
                let transport = move |request: Request| {
                    let _held = &held;
                    ureq.send(request)
                };
                Client::Blocking(TelemetryClient::with_transport(config, transport))
            }
            Some(builder) => {
                drop(held);
                let runtime = builder().worker_threads(1).enable_all().build();
                let start = || AsyncTelemetryClient::start(config);
                Client::on(runtime.expect("a runtime"), start)
            }
        };
        let handle = client.handle();
        track(&handle, events());
        drop(machine);
        run_until(&client, || !self.is_sending || handle.stats().requests > 0);
        let (call, deadline) = (self.call, self.deadline);
        let (rest, took) = returned(move || timed(client, |client| call.make(client, deadline)));
        drop((server, rest));
        // Disconnected when the worker has ended, after an attempt that was left alone.
        assert_eq!(worker.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
        let stats = handle.stats();
        assert_eq!(stats.tracked, events() as u64);
        assert!(stats.is_balanced(), "{}: {stats:?}", self.name);
        took
    }
}

impl Call {
    /// Returns the rest of the client, which is to be dropped after the call was timed. A flush may
    /// fail: that depends on the server.
    fn make(self, client: Client, deadline: Duration) -> Box<dyn Any + Send> {
        match (self, client) {
            (Self::Flush, client) => {
                let _ = client.flush(deadline);
                Box::new(client)
            }
            (Self::Shutdown, client) => {
                client.handle().shutdown(deadline);
                Box::new(client)
            }
            (Self::Stop, Client::Blocking(client)) => Box::new(client.stop()),
            (Self::Stop, Client::Tokio(client, runtime)) => {
                runtime.block_on(client.stop());
                Box::new(runtime)
            }
            (Self::Drop, Client::Blocking(_)) => Box::new(()),
            (Self::Drop, Client::Tokio(client, runtime)) => {
                drop(client);
                Box::new(runtime)
            }
        }
    }
}

/// Runs the client's task, if it has one on the current thread, until `is_done`.
fn run_until(client: &Client, is_done: impl Fn() -> bool) {
    loop {
        match client {
            Client::Blocking(_) => thread::yield_now(),
            Client::Tokio(_, runtime) => runtime.block_on(task::yield_now()),
        }
        if is_done() {
            break;
        }
    }
}

fn timed<C, T>(client: C, call: impl FnOnce(C) -> T) -> (T, Duration) {
    let start = now();
    (call(client), start.elapsed())
}

/// Fails if the fastest of ten calls is late. Some may be late because the machine is busy.
fn in_time(name: &str, limit: Duration, first: Duration, again: impl Fn() -> Duration) {
    let mut took = vec![first];
    while took[took.len() - 1] > limit {
        assert!(took.len() < 10, "{name}: {took:?}, expected at most {limit:?}");
        took.push(again());
    }
}

#[test]
fn calls_return_in_time_with_every_server() {
    let (cases, next) = (Case::all(), AtomicUsize::new(0));
    let took = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let time = case.run();
                    took.lock().expect("not poisoned").push((case, time));
                }
            });
        }
    });
    for (case, time) in took.into_inner().expect("not poisoned") {
        in_time(&case.name, case.limit(), time, || case.run());
    }
}

/// A client whose transport or callback blocks; it is there when this returns.
fn stuck_client(
    in_callback: bool,
    timeout: Duration,
) -> (TelemetryClient, Receiver<()>, Sender<()>) {
    let (block, calls, release) = stuck();
    let block = Arc::new(block);
    let callback = Arc::clone(&block);
    let config =
        config("https://example.com").shutdown_timeout(timeout).on_notification(move |_| {
            if in_callback {
                callback();
            }
        });
    let transport = move |_: Request| {
        if !in_callback {
            block();
        }
        Ok(status(200))
    };
    let client =
        TelemetryClient::with_transport(config.build().expect("a configuration"), transport);
    track(&client.handle(), 100);
    calls.recv_timeout(AMPLE).expect("a full batch is sent");
    (client, calls, release)
}

#[test]
fn blocking_calls_return_in_time_though_the_transport_or_the_callback_blocks() {
    const DEADLINE: Duration = Duration::from_millis(50);
    for in_callback in [false, true] {
        for call in [Call::Flush, Call::Stop, Call::Drop] {
            let run = || {
                let (client, _calls, _release) = stuck_client(in_callback, DEADLINE);
                let handle = client.handle();
                let (client, took) = returned(move || {
                    timed(Client::Blocking(client), |client| call.make(client, DEADLINE))
                });
                let stats = handle.stats();
                assert!(stats.is_balanced(), "{stats:?}");
                assert!(in_callback || (stats.pending, stats.delivered) == (100, 0), "{stats:?}");
                drop(client);
                took
            };
            in_time(&format!("{call:?}, {in_callback}"), DEADLINE + SLACK, run(), run);
        }
    }
}

#[test]
fn blocking_calls_return_in_time_though_the_log_subscriber_blocks() {
    const DEADLINE: Duration = Duration::from_millis(50);
    for call in [Call::Flush, Call::Stop, Call::Drop] {
        let run = || {
            let (client, _calls, _release) = stuck_client(false, DEADLINE);
            let (block, logged, _release_log) = stuck();
            let writer = move || {
                block();
                io::sink()
            };
            let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
            let (client, took) = returned(move || {
                let call = || timed(Client::Blocking(client), |client| call.make(client, DEADLINE));
                tracing::subscriber::with_default(subscriber, call)
            });
            let logs = call != Call::Flush;
            assert_eq!(logged.try_recv().is_ok(), logs, "pending events are logged");
            drop(client);
            took
        };
        in_time(&format!("{call:?}"), DEADLINE + SLACK, run(), run);
    }
}

#[test]
fn attempt_that_outlives_a_stop_is_counted_and_is_the_last() {
    let (client, calls, release) = stuck_client(false, Duration::ZERO);
    let handle = client.handle();
    track(&handle, 150);
    let stats = returned(|| client.stop());
    assert_eq!((stats.pending, stats.delivered), (250, 0));
    drop(release);
    // The transport is dropped when the worker ends.
    assert_eq!(calls.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
    let stats = handle.stats();
    assert_eq!((stats.pending, stats.delivered, stats.requests), (150, 100, 1));
    assert!(stats.is_balanced());
}

#[test]
fn flush_returns_at_its_own_deadline_beside_a_longer_one() {
    let (client, _calls, release) = stuck_client(false, Duration::ZERO);
    thread::scope(|scope| {
        let long = scope.spawn(|| client.flush(AMPLE));
        assert_eq!(client.flush(Duration::ZERO).unwrap_err().pending, 100);
        drop(release);
        long.join().unwrap().unwrap();
    });
}

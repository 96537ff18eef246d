//! Forked children that inherit a client: calls return at once, and only the parent sends.

use std::{
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    process,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use fork::Fork;
use mosaicstack_telemetry::{
    AsyncTelemetryClient, Outcome, PredictionError, Predictions, TelemetryClient, TelemetryHandle,
    global,
    transport::{Request, Response, TransportError},
};
use telemetry_tests::{long_tests, now, track};
use tokio::runtime::Runtime;

use crate::{
    Case, case,
    support::{
        FOREVER, abort_on_hang, all_delivered, all_pending, current_thread, multi_thread, query,
    },
};

/// Upper bound of a call in a child.
const LIMIT: Duration = Duration::from_millis(100);

/// Exit code of a child in which a call was slower than [`LIMIT`].
const LATE: i32 = 75;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("forked_child_of_an_idle_client_sends_nothing", |server| {
            let mut client = Some(server.client(3));
            let ends: [fn(_); 4] = [stop, drop, mem::forget, |_| process::exit(0)];
            for end in ends {
                in_child(|| blocking(take(&mut client), end));
            }
            all_delivered(&take(&mut client).stop());
        })
        .delivers(3),
        case("forked_child_of_a_sending_client_sends_nothing", |server| {
            let mut client = Some(server.sending_client());
            for end in [stop, drop] {
                in_child(|| blocking(take(&mut client), end));
            }
            all_pending(&take(&mut client).stop());
        })
        .silent(),
        case("forked_grandchild_sends_nothing", |server| {
            let mut client = Some(server.client(3));
            in_child(|| {
                in_child(|| blocking(take(&mut client), stop));
                blocking(take(&mut client), stop);
            });
            all_delivered(&take(&mut client).stop());
        })
        .delivers(3),
        case("forked_child_that_returns_from_main_sends_nothing", |server| {
            let client = server.client(3);
            match fork::fork().expect("it can be forked") {
                Fork::Child => return,
                Fork::Parent(pid) => assert_eq!(fork::waitpid(pid).expect("a child"), 0),
            }
            all_delivered(&client.stop());
        })
        .delivers(3),
        case("forked_child_beside_busy_threads_returns", |server| {
            let track_one = |handle: &TelemetryHandle, _: &Predictions| drop(track(handle, 1));
            let read = |_: &_, predictions: &Predictions| drop(predictions.cached(&query()));
            for (work, end) in [(track_one as fn(&_, &_), stop as fn(_)), (read, drop)] {
                let client = server.client(0);
                client.predictions().get(&query()).expect("the server answers");
                let (handle, predictions) = (client.handle(), client.predictions().clone());
                let mut client = Some(client);
                beside_threads(
                    || work(&handle, &predictions),
                    || {
                        in_child(|| blocking(take(&mut client), end));
                    },
                );
                take(&mut client).flush(FOREVER).expect("the server accepts");
                let stats = handle.stats();
                assert!(stats.is_balanced() && stats.pending == 0, "{stats:?}");
            }
        })
        .delivers(None),
        Case {
            leaks: true, // the global client
            ..case("forked_child_of_a_global_client_sends_nothing", |server| {
                let mut guard = Some(server.global(3));
                in_child(|| {
                    calls_of_a_handle(&global::handle());
                    timed("shutdown", || global::shutdown(FOREVER));
                    timed("init", || global::init(server.brief()).expect_err("it is the parent's"));
                    timed("drop", || drop(guard.take()));
                });
                drop(guard);
                all_delivered(&global::handle().stats());
            })
            .delivers(3)
        },
        case("forked_child_after_a_stop_cannot_request_predictions", |server| {
            let client = server.client(3);
            let (handle, predictions) = (client.handle(), client.predictions().clone());
            all_delivered(&client.stop());
            in_child(|| {
                timed("track", || track(&handle, 1));
                timed("get", || forked(predictions.get(&query())));
            });
            predictions.get(&query()).expect("the server answers");
        })
        .delivers(3),
        // Ids of parent and child differ, although both begin with a copy of one generator's state.
        case("forked_child_with_its_own_clients_delivers_with_its_own_ids", |server| {
            let client = server.client(3);
            in_child(|| {
                all_delivered(&server.client(30).stop());
                let runtime = multi_thread();
                let own = runtime.block_on(async { server.async_client(30) });
                all_delivered(&runtime.block_on(own.stop()));
            });
            track(&client.handle(), 30);
            all_delivered(&client.stop());
        })
        .delivers(93),
        case("forked_child_of_an_idle_async_client_sends_nothing", |server| {
            for runtime in [current_thread(), multi_thread()] {
                let mut client = Some(runtime.block_on(async { server.async_client(3) }));
                in_child(|| on_tokio(take(&mut client), &runtime));
                all_delivered(&runtime.block_on(take(&mut client).stop()));
            }
        })
        .delivers(6),
        case("forked_child_within_a_runtime_sends_nothing", |server| {
            for runtime in [current_thread(), multi_thread()] {
                all_pending(&runtime.block_on(async {
                    let mut client = Some(server.sending_async_client().await);
                    in_child(|| on_tokio(take(&mut client), &runtime));
                    take(&mut client).stop().await
                }));
            }
        })
        .silent(),
        case("forked_child_beside_a_busy_runtime_returns", |server| {
            let runtime = multi_thread();
            let client = runtime.block_on(async { server.async_client(0) });
            let (handle, mut client) = (client.handle(), Some(client));
            beside_threads(
                || drop(track(&handle, 1)),
                || {
                    in_child(|| on_tokio(take(&mut client), &runtime));
                },
            );
            let stats = runtime.block_on(take(&mut client).stop());
            assert!(stats.is_balanced(), "{stats:?}");
        })
        .delivers(None),
        case("client_started_by_a_daemon_delivers", |server| {
            // The process that the parent waits for ends here.
            let daemon = fork::daemon(false, false).expect("it can be forked");
            assert!(matches!(daemon, Fork::Child));
            abort_on_hang();
            all_delivered(&server.client(3).stop());
        })
        .delivers(3),
        case("clients_with_closed_standard_streams_deliver", |server| {
            fork::close_fd().expect("they can be closed");
            all_delivered(&server.client(3).stop());
            let runtime = current_thread();
            let client = runtime.block_on(async { server.async_client(4) });
            all_delivered(&runtime.block_on(client.stop()));
            let boom = |_: Request| -> Result<Response, TransportError> { panic!("boom") };
            let client = TelemetryClient::with_transport(server.brief(), boom);
            track(&client.handle(), 3);
            let stats = client.stop();
            assert!(stats.panics > 0 && stats.is_balanced(), "{stats:?}");
        })
        .delivers(7),
    ]
}

/// Set in the last of three children.
static IS_LAST: AtomicBool = AtomicBool::new(false);

/// Calls `child` in a forked child and waits for its end. If a call was slow, repeats it in another
/// child, up to twice: the machine may be busy.
fn in_child(mut child: impl FnMut()) {
    let mut status = LATE << 8;
    for is_last in [false, false, true] {
        // The exit code is the second byte of the status.
        if status == LATE << 8 {
            IS_LAST.store(is_last, Ordering::Relaxed);
            match fork::fork().expect("it can be forked") {
                Fork::Parent(pid) => status = fork::waitpid(pid).expect("it is a child"),
                Fork::Child => {
                    abort_on_hang();
                    // Frames above belong to the parent.
                    let is_done = catch_unwind(AssertUnwindSafe(&mut child)).is_ok();
                    process::exit(i32::from(!is_done));
                }
            }
        }
    }
    assert_eq!(status, 0, "the child failed");
}

/// Makes a call in a child, which ends if the call is slow.
fn timed<T>(name: &str, call: impl FnOnce() -> T) -> T {
    let start = now();
    let result = call();
    if start.elapsed() >= LIMIT {
        if IS_LAST.load(Ordering::Relaxed) {
            eprintln!("{name}: slower than {LIMIT:?}, for the third time");
        }
        process::exit(LATE);
    }
    result
}

/// Moves the client out in the child; that of the parent stays where it is.
fn take<T>(client: &mut Option<T>) -> T {
    client.take().expect("each process takes it once")
}

fn stop(client: TelemetryClient) {
    let before = client.stats();
    let stats = client.stop();
    assert_eq!(
        (stats.requests, stats.delivered, stats.pending),
        (before.requests, before.delivered, before.pending),
        "a child sends nothing"
    );
}

fn forked<T: fmt::Debug>(result: Result<T, PredictionError>) {
    let error = result.expect_err("a child sends no request");
    assert!(matches!(error, PredictionError::Forked), "{error}");
}

/// Forks repeatedly while other threads `work`.
fn beside_threads(work: impl Fn() + Sync, mut fork: impl FnMut()) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    work();
                }
            });
        }
        (0..if long_tests() { 200 } else { 10 }).for_each(|_| fork());
        is_over.store(true, Ordering::Relaxed);
    });
}

fn calls_of_a_handle(handle: &TelemetryHandle) {
    let tracked = handle.stats().tracked;
    timed("build", || handle.event().build());
    // More than a batch, which would wake the worker.
    timed("track", || track(handle, 150));
    timed("begin", || handle.begin(handle.event()).finish(Outcome::Success));
    timed("stats", || assert_eq!(handle.stats().tracked, tracked + 151));
    timed("flush of a handle", || handle.flush(FOREVER).expect_err("there is no worker"));
}

fn blocking(client: TelemetryClient, end: fn(TelemetryClient)) {
    calls_of_a_handle(&client.handle());
    timed("flush", || client.flush(FOREVER).expect_err("there is no worker"));
    timed("refresh", || forked(client.predictions().refresh(&[query()])));
    timed("cached", || client.predictions().cached(&query()));
    timed("get", || forked(client.predictions().get(&query())));
    timed("get_all", || forked(client.predictions().get_all(&[query()])));
    timed("shutdown", || client.handle().shutdown(FOREVER));
    timed("end", || end(client));
}

/// The runtime's threads are in the parent, so each future has to be ready when it is first polled.
fn on_tokio(client: AsyncTelemetryClient, runtime: &Runtime) {
    fn ready<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }
    let _entered = runtime.enter();
    calls_of_a_handle(&client.handle());
    timed("flush", || ready(client.flush(FOREVER)).expect_err("there is no worker"));
    timed("refresh", || forked(ready(client.predictions().refresh(&[query()]))));
    timed("get", || forked(ready(client.predictions().get(&query()))));
    timed("get_all", || forked(ready(client.predictions().get_all(&[query()]))));
    timed("shutdown", || client.handle().shutdown(FOREVER));
    timed("stop", || ready(client.stop()));
}

//! Runtimes that are missing, have ended or stand still: nothing hangs, nothing panics.

use std::{
    future,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, PredictionQuery, Provider, Request, Response, Stats,
    TaskType, TransportError,
};
use telemetry_collector::Answer;
use telemetry_tests::{Log, config, lifecycle::park_on, track};
use tokio::runtime::Builder;

use super::{client, current_thread, multi_thread};
use crate::blocking::{AMPLE, collector, eager, ids, returned};

const URL: &str = "https://example.com";

/// A transport that never answers.
fn silent(_: Request) -> future::Pending<Result<Response, TransportError>> {
    future::pending()
}

fn silent_client(shutdown_timeout: Duration) -> AsyncTelemetryClient {
    let config = config(URL).shutdown_timeout(shutdown_timeout).build().expect("a configuration");
    AsyncTelemetryClient::with_transport(config, silent)
}

/// Waits for a future on a runtime that has neither timers nor I/O.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Flushes and stops on a runtime of another kind.
fn leave(client: AsyncTelemetryClient) -> Stats {
    returned(|| {
        block_on(async {
            track(&client.handle(), 1);
            client.flush(Duration::from_millis(50)).await.expect_err("nobody sends");
            client.stop().await
        })
    })
}

#[test]
fn the_runtime_can_be_dropped_before_the_client() {
    for runtime in [current_thread(), multi_thread()] {
        let log = Log::new();
        let client = runtime.block_on(async { silent_client(AMPLE) });
        track(&client.handle(), 100);
        runtime.block_on(async { tokio::task::yield_now().await });
        returned(move || drop(runtime));
        // The task is gone, so nothing is waited for, however far the deadline is.
        let stats = returned(|| {
            block_on(async {
                track(&client.handle(), 1);
                client.flush(AMPLE).await.expect_err("nobody sends");
                client.stop().await
            })
        });
        assert_eq!((stats.tracked, stats.pending, stats.delivered), (101, 101, 0));
        assert!(stats.is_balanced());
        drop(log);
    }
}

#[test]
fn the_runtime_says_what_it_leaves_when_it_is_dropped_first() {
    let log = Log::new();
    let runtime = current_thread();
    let client = runtime.block_on(async { silent_client(AMPLE) });
    drop(runtime);
    assert_eq!(log.lines("events only wait in the queue").len(), 1);
    drop(client);
    assert_eq!(log.lines("WARN").len(), 1);
}

#[test]
fn the_client_can_be_dropped_after_the_runtime() {
    let runtime = multi_thread();
    let client = runtime.block_on(async { silent_client(AMPLE) });
    let handle = client.handle();
    track(&handle, 3);
    returned(move || drop(runtime));
    returned(move || drop(client));
    assert_eq!(handle.stats().pending, 3);
}

#[test]
fn a_runtime_that_stands_still_is_not_waited_for() {
    let runtime = current_thread();
    let client = runtime.block_on(async { silent_client(Duration::from_millis(50)) });
    let stats = leave(client);
    assert_eq!((stats.pending, stats.delivered), (1, 0));
    drop(runtime);
}

/// Calls that wait for what never comes, with deadlines.
async fn calls(client: AsyncTelemetryClient) -> Stats {
    let query = PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low);
    track(&client.handle(), 1);
    client.flush(Duration::from_millis(50)).await.expect_err("nobody answers");
    client.predict(&query).await.expect_err("nobody answers");
    client.stop().await
}

fn brief_client() -> AsyncTelemetryClient {
    let brief = Duration::from_millis(50);
    let config = config(URL).shutdown_timeout(brief).request_timeout(brief);
    AsyncTelemetryClient::with_transport(config.build().expect("right"), silent)
}

#[test]
fn another_executor_within_the_runtimes_thread_is_held_up_by_nothing() {
    for runtime in [current_thread(), multi_thread()] {
        let stats = returned(move || {
            // Nobody drives the runtime's timers meanwhile.
            let nested = runtime.spawn(async { park_on(calls(brief_client())) });
            runtime.block_on(nested).expect("it does not panic")
        });
        assert_eq!((stats.tracked, stats.delivered), (1, 0));
    }
}

#[test]
fn a_handle_of_a_runtime_that_nobody_drives_is_held_up_by_nothing() {
    let runtime = current_thread();
    let client = runtime.block_on(async { brief_client() });
    let handle = runtime.handle().clone();
    let stats = returned(move || handle.block_on(calls(client)));
    assert_eq!((stats.tracked, stats.delivered), (1, 0));
    drop(runtime);
}

#[test]
fn a_handle_of_a_runtime_that_has_ended_is_held_up_by_nothing() {
    let runtime = current_thread();
    let client = runtime.block_on(async { brief_client() });
    let handle = runtime.handle().clone();
    drop(runtime);
    let stats = returned(move || handle.block_on(calls(client)));
    assert_eq!((stats.tracked, stats.delivered), (1, 0));
}

#[test]
fn a_stopped_clock_elsewhere_stops_nobody() {
    let client = brief_client();
    let elsewhere = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let stats = returned(move || elsewhere.block_on(calls(client)));
    assert_eq!((stats.tracked, stats.delivered), (1, 0));
}

#[test]
fn connections_are_those_of_the_runtime_that_asks() {
    let collector = collector();
    let (home, other) = (current_thread(), current_thread());
    let client = home.block_on(async { client(&collector) });
    let query = PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low);
    other.block_on(client.predict(&query)).unwrap();
    // The other runtime stands still from now on, and its connection with it.
    track(&client.handle(), 3);
    let client = home.block_on(async { client.flush(AMPLE).await.map(|()| client) }).unwrap();
    assert_eq!(client.stats().delivered, 3);
    let requests = collector.requests();
    assert_ne!(requests[0].connection, requests[1].connection);
    drop(other);
}

#[test]
fn a_client_can_be_stopped_without_a_runtime() {
    let collector = collector();
    let runtime = multi_thread();
    let client = runtime.block_on(async { client(&collector) });
    let tracked = track(&client.handle(), 250);
    let stats = returned(|| park_on(client.stop()));
    assert_eq!((stats.delivered, stats.pending), (250, 0));
    assert_eq!(ids(&collector), tracked);
}

#[test]
fn predictions_can_be_asked_for_without_a_runtime_of_ones_own() {
    let collector = collector();
    let runtime = multi_thread();
    let client = runtime.block_on(async { client(&collector) });
    let query = PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low);
    // On a plain thread: hyper's connection runs on the client's runtime.
    let answer = returned(move || park_on(client.predict(&query)));
    assert_eq!(answer.unwrap().prediction, None);
    assert_eq!(collector.totals().requests, 1);
}

#[test]
fn the_end_of_a_client_is_seen_without_a_timer() {
    // Woken by the worker, not by its deadline.
    let collector = collector();
    collector.script([Answer::normal().delay(Duration::from_millis(20))]);
    let runtime = multi_thread();
    let client = runtime.block_on(async { client(&collector) });
    track(&client.handle(), 3);
    let client = returned(|| block_on(client.flush(Duration::MAX)).map(|()| client)).unwrap();
    assert_eq!(client.stats().delivered, 3);
}

#[test]
fn outside_a_runtime_events_wait_and_it_is_said() {
    let log = Log::new();
    let client = silent_client(AMPLE);
    assert_eq!(log.lines("WARN").len(), 1);
    let stats = leave(client);
    assert_eq!((stats.tracked, stats.pending, stats.panics), (1, 1, 0));
}

#[test]
fn without_timers_events_wait() {
    let stats = returned(|| {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let client = silent_client(AMPLE);
            track(&client.handle(), 3);
            client.flush(Duration::from_millis(50)).await.expect_err("there is no task");
            client.stop().await
        })
    });
    assert_eq!((stats.pending, stats.delivered), (3, 0));
}

#[test]
fn without_a_runtime_predictions_fail_in_time() {
    let config = eager(URL).request_timeout(Duration::from_millis(50)).build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, silent);
    let query = PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low);
    let error = returned(move || block_on(async { client.predict(&query).await })).unwrap_err();
    assert_eq!(error.to_string(), "no predictions: timeout: no complete response");
}

#[test]
fn a_transport_that_blocks_its_thread_holds_up_nobody_else() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let (called, calls) = mpsc::channel();
    let blocking = move |_: Request| {
        let _ = called.send(());
        let _ = released.lock().map(|released| released.recv());
        async { Ok::<_, TransportError>(Response::default()) }
    };
    let runtime = multi_thread();
    let config = config(URL).shutdown_timeout(Duration::from_millis(50)).build().unwrap();
    let client = runtime.block_on(async { AsyncTelemetryClient::with_transport(config, blocking) });
    track(&client.handle(), 100);
    calls.recv_timeout(AMPLE).unwrap();
    let stats =
        thread::scope(|scope| scope.spawn(|| runtime.block_on(client.stop())).join().unwrap());
    assert_eq!((stats.pending, stats.delivered), (100, 0));
    drop(release);
}

//! The client on tokio against a collector, over real sockets.

mod attempts;
mod predictions;
mod runtimes;
mod timing;
mod wakers;

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use mosaicstack_telemetry::{AsyncTelemetryClient, Outcome, TelemetryClient, TelemetryConfig};
use telemetry_collector::{Answer, Collector};
use telemetry_tests::track;
use tokio::{
    runtime::{Builder, Runtime},
    task, time,
};

use crate::blocking::{self, AMPLE, collector, eager, ids};

/// A client of the collector that hardly waits between attempts.
fn client(collector: &Collector) -> AsyncTelemetryClient {
    AsyncTelemetryClient::start(eager(collector.url()).build().expect("a configuration"))
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Runs a test on each kind of runtime; fails if it does not end.
fn on_each_runtime<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async { time::timeout(AMPLE, test()).await }).expect("it ends");
    }
}

#[test]
fn what_is_tracked_arrives_in_order() {
    on_each_runtime(|| async {
        let collector = collector();
        let client = client(&collector);
        let tracked = track(&client.handle(), 250);
        client.flush(AMPLE).await.unwrap();
        assert_eq!(ids(&collector), tracked);
        let stats = client.stop().await;
        assert_eq!((stats.tracked, stats.delivered, stats.pending), (250, 250, 0));
        assert!(stats.is_balanced());
    });
}

#[test]
fn stopping_delivers_what_is_queued_and_closes_the_books() {
    on_each_runtime(|| async {
        let collector = collector();
        let client = client(&collector);
        let handle = client.handle();
        let tracked = track(&handle, 250);
        let stats = client.stop().await;
        assert_eq!(ids(&collector), tracked);
        assert_eq!((stats.delivered, stats.pending), (250, 0));
        track(&handle, 3);
        let stats = handle.stats();
        assert_eq!((stats.tracked, stats.dropped.closed), (253, 3));
        assert!(stats.is_balanced());
    });
}

#[test]
fn dropping_does_not_wait_and_delivers_in_the_background() {
    on_each_runtime(|| async {
        let collector = collector();
        collector.script([Answer::normal().delay(Duration::from_millis(20))]);
        let client = client(&collector);
        let handle = client.handle();
        let tracked = track(&handle, 99);
        drop(client);
        assert_eq!(handle.stats().pending, 99, "nobody waited");
        let collector = task::spawn_blocking(move || {
            assert!(collector.wait_for(AMPLE, |totals| totals.accepted == 99));
            collector
        });
        assert_eq!(ids(&collector.await.unwrap()), tracked);
    });
}

#[test]
fn a_full_batch_and_the_interval_send_without_a_flush() {
    on_each_runtime(|| async {
        let collector = collector();
        let config = eager(collector.url()).submit_interval(Duration::from_millis(1));
        let patient = client(&collector);
        let hasty = AsyncTelemetryClient::start(config.build().unwrap());
        track(&patient.handle(), 100);
        track(&hasty.handle(), 7);
        let arrived = task::spawn_blocking(move || {
            collector.wait_for(AMPLE, |totals| totals.accepted == 107)
        });
        assert!(arrived.await.unwrap());
    });
}

#[test]
fn a_flush_gives_up_when_the_server_wants_a_pause() {
    on_each_runtime(|| async {
        let collector = collector();
        collector.script([Answer::status(429).header("retry-after", "600")]);
        let client = client(&collector);
        track(&client.handle(), 3);
        assert_eq!(client.flush(5 * AMPLE).await.unwrap_err().pending, 3);
        assert_eq!(client.stop().await.delivered, 3, "the last drain asks once in spite of it");
    });
}

#[test]
fn tasks_can_flush_at_the_same_time() {
    on_each_runtime(|| async {
        let collector = collector();
        let client = Arc::new(client(&collector));
        let mut tasks = task::JoinSet::new();
        for _ in 0..8 {
            let client = Arc::clone(&client);
            tasks.spawn(async move {
                track(&client.handle(), 20);
                client.flush(AMPLE).await
            });
        }
        assert!(tasks.join_all().await.iter().all(Result::is_ok));
        assert_eq!(collector.totals().accepted, 160);
    });
}

#[test]
fn a_flush_that_is_given_up_still_happens() {
    on_each_runtime(|| async {
        let collector = collector();
        let client = client(&collector);
        let tracked = track(&client.handle(), 3);
        {
            let flush = pin!(client.flush(AMPLE));
            let _ = flush.poll(&mut Context::from_waker(Waker::noop()));
        }
        let collector = task::spawn_blocking(move || {
            assert!(collector.wait_for(AMPLE, |totals| totals.accepted == 3));
            collector
        });
        assert_eq!(ids(&collector.await.unwrap()), tracked);
    });
}

#[test]
fn both_clients_work_in_one_program() {
    on_each_runtime(|| async {
        let collector = collector();
        let (one, other) = (client(&collector), blocking::client(&collector));
        let mut tracked = track(&one.handle(), 150);
        tracked.extend(track(&other.handle(), 150));
        let other = task::spawn_blocking(move || TelemetryClient::stop(other));
        let (one, other) = (one.stop().await, other.await.unwrap());
        assert_eq!((one.delivered, other.delivered), (150, 150));
        let mut arrived = ids(&collector);
        arrived.sort();
        tracked.sort();
        assert_eq!(arrived, tracked);
    });
}

#[test]
fn a_task_that_is_cancelled_is_reported() {
    on_each_runtime(|| async {
        let collector = collector();
        let client = client(&collector);
        let guard = client.begin(client.event()).unfinished_as(Outcome::Timeout);
        let task = tokio::spawn(async move {
            std::future::pending::<()>().await;
            guard.finish(Outcome::Success)
        });
        task::yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        client.stop().await;
        let outcomes: Vec<_> = collector.events().into_iter().map(|it| it.outcome).collect();
        assert_eq!(outcomes, [Outcome::Timeout]);
    });
}

#[test]
fn disabled_telemetry_has_no_task() {
    on_each_runtime(|| async {
        let before = task_count();
        let config = TelemetryConfig::disabled();
        let client = AsyncTelemetryClient::start(config);
        track(&client.handle(), 2);
        assert_eq!(task_count(), before);
        client.flush(Duration::ZERO).await.unwrap();
        let stats = client.stop().await;
        assert_eq!((stats.tracked, stats.dropped.disabled), (2, 2));
    });
}

fn task_count() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

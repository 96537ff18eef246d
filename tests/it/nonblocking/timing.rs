//! Deadlines and waits of the task, on tokio's paused clock.

use std::{
    future,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, TelemetryConfigBuilder,
    transport::{Request, Response},
};
use telemetry_tests::{Log, config, events, status, track};
use tokio::{
    task,
    time::{self, Instant},
};

use crate::support::query;

const SECOND: Duration = Duration::from_secs(1);

fn url() -> TelemetryConfigBuilder {
    config("https://example.com")
}

/// Allows for the resolution of tokio's timers.
fn is_close(time: Duration, expected: Duration) -> bool {
    time >= expected && time < expected + Duration::from_millis(5)
}

#[tokio::test(start_paused = true)]
async fn less_than_a_batch_is_sent_each_interval() {
    let (sent, start) = (Arc::<Mutex<Vec<_>>>::default(), Instant::now());
    let transport = {
        let sent = Arc::clone(&sent);
        move |request: Request| {
            sent.lock().expect("no panic").push((start.elapsed(), events(request.body()).len()));
            future::ready(Ok(status(200)))
        }
    };
    let client = AsyncTelemetryClient::with_transport(url().build().unwrap(), transport);
    track(&client.handle(), 7);
    time::sleep(299 * SECOND).await;
    assert!(sent.lock().unwrap().is_empty());
    time::sleep(2 * SECOND).await;
    track(&client.handle(), 1);
    time::sleep(300 * SECOND).await;
    let sent = sent.lock().unwrap();
    assert!(
        matches!(sent[..], [(first, 7), (second, 1)]
        if is_close(first, 300 * SECOND) && is_close(second, 600 * SECOND)),
        "{sent:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn request_that_never_ends_is_cancelled_after_its_timeout() {
    let config = url().request_timeout(3 * SECOND).max_retries(0).build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, |_| future::pending());
    track(&client.handle(), 1);
    let start = Instant::now();
    assert_eq!(client.flush(60 * SECOND).await.unwrap_err().pending, 1);
    assert!(is_close(start.elapsed(), 3 * SECOND), "{:?}", start.elapsed());
    assert_eq!((client.stats().requests, client.stats().retried), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn flush_ends_with_its_own_events_though_later_ones_are_in_flight() {
    let is_first = AtomicBool::new(true);
    let config = url().batch_size(10).build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, move |_| {
        let is_first = is_first.swap(false, Ordering::Relaxed);
        async move {
            time::sleep(if is_first { SECOND } else { 9 * SECOND }).await;
            Ok(status(200))
        }
    });
    let start = Instant::now();
    track(&client.handle(), 10);
    let mut flush = pin!(client.flush(60 * SECOND));
    assert!(flush.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    track(&client.handle(), 10);
    flush.await.unwrap();
    assert!(is_close(start.elapsed(), SECOND), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn stop_cancels_the_request_in_flight_at_its_deadline() {
    for early in [false, true] {
        let config = url().shutdown_timeout(2 * SECOND).build().unwrap();
        let client = AsyncTelemetryClient::with_transport(config, |_| future::pending());
        track(&client.handle(), if early { 100 } else { 1 });
        time::sleep(SECOND).await;
        assert_eq!(client.stats().requests, u64::from(early));
        let start = Instant::now();
        let stats = client.stop().await;
        assert!(is_close(start.elapsed(), 2 * SECOND), "{:?}", start.elapsed());
        assert_eq!((stats.delivered, stats.requests), (0, 1));
        assert!(stats.is_balanced());
    }
}

#[tokio::test(start_paused = true)]
async fn predictions_and_task_guards_use_tokio_time() {
    let answer = r#"[{"prediction": null}]"#;
    let config = url().no_data_cache_ttl(60 * SECOND).build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, move |_| async move {
        Ok(Response::new(answer.into()))
    });
    let task = client.begin(client.event());
    let query = query(0);
    client.predictions().get(&query).await.unwrap();
    time::sleep(59 * SECOND).await;
    assert!(client.predictions().cached(&query).is_some_and(|cached| cached.is_fresh));
    time::sleep(2 * SECOND).await;
    let cached = client.predictions().cached(&query).unwrap();
    assert!(is_close(cached.age, 61 * SECOND) && !cached.is_fresh, "{cached:?}");
    assert!(is_close(task.elapsed(), 61 * SECOND), "{:?}", task.elapsed());
}

#[tokio::test(start_paused = true)]
async fn events_left_behind_are_logged() {
    for is_stopped in [true, false] {
        let log = Log::new();
        let config = url().shutdown_timeout(2 * SECOND).build().unwrap();
        let client = AsyncTelemetryClient::with_transport(config, |_| future::pending());
        track(&client.handle(), 3);
        if is_stopped {
            assert_eq!(client.stop().await.pending, 3);
        } else {
            drop(client);
        }
        time::sleep(3 * SECOND).await;
        let lines = log.lines("WARN");
        assert!(lines.len() == 1 && lines[0].contains("3 events are not delivered"), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn response_just_before_the_deadline_is_counted() {
    let config = url().shutdown_timeout(2 * SECOND).build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, |_| async {
        time::sleep(SECOND).await;
        Ok(status(200))
    });
    track(&client.handle(), 150);
    let stats = client.stop().await;
    assert_eq!((stats.delivered, stats.pending), (150, 0));
}

#[tokio::test(start_paused = true)]
async fn dry_run_yields_to_other_tasks_after_each_batch() {
    const BATCHES: usize = 10;
    let log = Log::new();
    let config = url().dry_run(true).batch_size(1).early_flush(false).build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, |_: Request| future::pending());
    track(&client.handle(), BATCHES);
    let other = async {
        let mut seen = 0;
        while seen < BATCHES {
            task::yield_now().await;
            let before = seen;
            seen = log.lines("Would submit").len();
            assert!(seen <= before + 1, "{} batches at once", seen - before);
        }
    };
    tokio::join!(other, async { client.flush(SECOND).await.unwrap() });
}

//! Error handling and logging.

use std::{
    future::ready,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Health, LOG_TARGET, Request, Response, Stats, TelemetryClient,
    TelemetryConfig, TelemetryHandle, TransportError,
};
use telemetry_tests::{Log, Simulation, config, status, track};
use tokio::time::Instant;

use super::on_tokio;
use crate::blocking::ABSENT;

const INTERVAL: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);

/// Configurations with which nothing goes right.
fn misfortunes() -> [TelemetryConfig; 4] {
    let absent = || config(ABSENT).shutdown_timeout(Duration::ZERO);
    [
        TelemetryConfig::disabled(),
        absent().api_key("wrong").build_or_disabled(),
        absent().build().expect("a configuration"),
        absent().max_queue_size(1).build().expect("a configuration"),
    ]
}

#[test]
fn track_is_always_safe() {
    let assert_safe = |handle: &TelemetryHandle, stopped: Stats| {
        assert_eq!((stopped.tracked, stopped.delivered), (10, 0));
        track(handle, 10);
        let stats = handle.stats();
        assert_eq!(stats.tracked, 20);
        assert!(stats.is_balanced(), "{stats:?}");
    };
    for config in misfortunes() {
        let client = TelemetryClient::start(config);
        let handle = client.handle();
        track(&handle, 10);
        assert_safe(&handle, client.stop());
    }
    on_tokio(|| async {
        for config in misfortunes() {
            let client = AsyncTelemetryClient::start(config);
            let handle = client.handle();
            track(&handle, 10);
            assert_safe(&handle, client.stop().await);
        }
    });
}

#[test]
fn misconfigured_telemetry_is_off_and_says_so() {
    let log = Log::new();
    let config = config("tel-api.mosaicstack.dev").build_or_disabled();
    assert!(!config.is_enabled());
    let said = log.lines("WARN mosaicstack_telemetry: telemetry is disabled: ");
    assert_eq!(said.len(), 1);
    assert_eq!(log.lines("server_url: invalid URL").len(), 1, "with the reason");
}

#[test]
fn what_is_tracked_after_the_stop_is_counted_and_not_logged() {
    let log = Log::new();
    let client = TelemetryClient::start(config(ABSENT).build().unwrap());
    let handle = client.handle();
    client.stop();
    track(&handle, 3);
    assert_eq!(handle.stats().dropped.closed, 3);
    assert!(log.lines("").is_empty(), "{:?}", log.lines(""));
}

#[test]
fn the_event_after_a_thousand_evicts_the_oldest_with_a_warning() {
    let log = Log::new();
    let mut simulation = Simulation::new(&config("https://example.com").build().unwrap());
    let tracked = track(&simulation.handle, 1_001);
    assert_eq!(simulation.handle.stats().evicted, 1);
    simulation.run_until(SECOND, |_| Ok(status(200)));
    let sent = simulation.sent.iter().flat_map(|sent| &sent.ids);
    assert!(sent.eq(&tracked[1..]));
    let warned = log.lines("WARN mosaicstack_telemetry: the queue is full");
    assert_eq!(warned.len(), 1, "{:?}", log.lines(""));
}

/// An asynchronous client in virtual time whose server gives these answers and then accepts; and when
/// it was asked.
fn scripted(
    answers: impl IntoIterator<Item = Result<Response, TransportError>>,
) -> (AsyncTelemetryClient, Arc<Mutex<Vec<Duration>>>) {
    let (start, times) = (Instant::now(), Arc::<Mutex<Vec<Duration>>>::default());
    let answers = Mutex::new(answers.into_iter().collect::<Vec<_>>().into_iter());
    let transport = {
        let times = Arc::clone(&times);
        move |_: Request| {
            times.lock().unwrap_or_else(PoisonError::into_inner).push(start.elapsed());
            let answer = answers.lock().unwrap_or_else(PoisonError::into_inner).next();
            ready(answer.unwrap_or_else(|| Ok(status(200))))
        }
    };
    let config = config("https://example.com").build().expect("a configuration");
    (AsyncTelemetryClient::with_transport(config, transport), times)
}

#[tokio::test(start_paused = true)]
async fn the_async_client_retries_what_may_pass() {
    let mut busy = status(429);
    busy.headers_mut().insert("retry-after", http::HeaderValue::from_static("120"));
    let reset = TransportError::network("reset");
    let (client, times) = scripted([Ok(busy), Err(TransportError::Timeout), Err(reset)]);
    client.track(client.event().build());
    client.flush(INTERVAL).await.unwrap();
    let times = times.lock().unwrap().clone();
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 3);
    assert!(waits[0] >= 120 * SECOND && waits[0] < 132 * SECOND, "Retry-After: {waits:?}");
    assert!(waits[1] >= SECOND / 2 && waits[1] < 3 * SECOND / 2, "back-off: {waits:?}");
    assert!(waits[2] >= SECOND && waits[2] < 3 * SECOND, "twice that: {waits:?}");
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.retried), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn the_async_client_does_not_retry_a_refusal_but_keeps_the_events() {
    let (client, times) = scripted([Ok(status(403))]);
    client.track(client.event().build());
    assert_eq!(client.flush(INTERVAL / 2).await.unwrap_err().pending, 1);
    assert_eq!((client.stats().health, client.stats().requests), (Health::Misconfigured, 1));
    tokio::time::sleep(INTERVAL + SECOND).await;
    assert_eq!((client.stats().health, client.stats().delivered), (Health::Good, 1));
    let times: Vec<_> = times.lock().unwrap().iter().map(Duration::as_secs).collect();
    assert_eq!(times, [0, 300], "the next cycle");
}

#[test]
fn submissions_are_logged_at_debug_with_one_target() {
    assert_eq!(LOG_TARGET, "mosaicstack_telemetry");
    let log = Log::new();
    let mut simulation = Simulation::new(&config("https://example.com").build().unwrap());
    track(&simulation.handle, 2);
    simulation.run_until(INTERVAL, |_| Ok(status(200)));
    assert_eq!(log.lines(""), ["DEBUG mosaicstack_telemetry: submitted batch of 2 events"]);
}

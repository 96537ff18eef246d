//! The blocking client where it differs: it waits for its thread. And helpers for all tests.

use std::{
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    RetryPolicy, TelemetryClient, TelemetryConfigBuilder, TelemetryHandle, transport::Request,
};
use telemetry_collector::Collector;
use telemetry_tests::{Client, Kind, config, status, track};
use uuid::Uuid;

/// Far beyond the duration of any test.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// URL of no server. Not a free port: another test could open it.
pub(crate) const ABSENT: &str = "http://127.0.0.1:1";

const URL: &str = "https://example.com";

/// A collector without rules.
pub(crate) fn collector() -> Collector {
    Collector::start().expect("loopback can be bound")
}

/// A configuration with almost no backoff.
pub(crate) fn eager(url: &str) -> TelemetryConfigBuilder {
    let initial_backoff = Duration::from_millis(1);
    let policy = RetryPolicy { initial_backoff, ..RetryPolicy::default() };
    config(url).retry_policy(policy).shutdown_timeout(AMPLE)
}

/// A blocking client with almost no backoff.
pub(crate) fn client(collector: &Collector) -> TelemetryClient {
    TelemetryClient::start(eager(collector.url()).build().expect("a valid configuration"))
}

/// A client of either kind with almost no backoff.
pub(crate) fn start(kind: Kind, collector: &Collector) -> Client {
    Client::start(kind, eager(collector.url()).build().expect("a valid configuration"))
}

/// Ids of the events that the collector holds.
pub(crate) fn ids(collector: &Collector) -> Vec<Uuid> {
    collector.events().iter().map(|event| event.event_id).collect()
}

/// The result of `call`; fails where a plain call would hang.
pub(crate) fn returned<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(AMPLE).expect("the call returns")
}

#[test]
fn drop_waits_until_queued_events_are_delivered() {
    let collector = collector();
    let client = client(&collector);
    let handle = client.handle();
    let tracked = track(&handle, 250);
    drop(client);
    assert_eq!(ids(&collector), tracked);
    let stats = handle.stats();
    assert_eq!((stats.delivered, stats.pending), (250, 0));
    assert!(stats.is_balanced());
}

#[test]
fn drop_by_a_panic_delivers_queued_events() {
    let collector = collector();
    let client = client(&collector);
    let scope = thread::spawn(move || {
        track(&client.handle(), 3);
        panic::resume_unwind(Box::new("a panic without a message"));
    });
    assert!(scope.join().is_err());
    assert_eq!(collector.totals().accepted, 3);
}

#[test]
fn flush_during_evictions_succeeds() {
    let collector = collector();
    let config = eager(collector.url()).max_queue_size(50).batch_size(7).build().unwrap();
    let client = TelemetryClient::start(config);
    let goes_on = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while goes_on.load(Ordering::Relaxed) {
                    track(&client.handle(), 1);
                }
            });
        }
        let results = (0..200).map(|_| {
            track(&client.handle(), 1);
            client.flush(AMPLE)
        });
        let results: Vec<_> = results.collect();
        goes_on.store(false, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    });
}

#[test]
fn client_and_handle_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    fn cloned<T: Clone>() {}
    shared::<TelemetryClient>();
    shared::<TelemetryHandle>();
    cloned::<TelemetryHandle>();
}

#[test]
fn flush_by_the_transport_returns_instead_of_waiting_for_itself() {
    let (sender, receiver) = mpsc::channel::<Arc<TelemetryClient>>();
    let (flushed, result) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let transport = move |_: Request| {
        if let Ok(client) = receiver.lock().unwrap().recv_timeout(AMPLE) {
            let _ = flushed.send(client.flush(5 * AMPLE));
        }
        Ok(status(200))
    };
    let client = TelemetryClient::with_transport(eager(URL).build().unwrap(), transport);
    let client = Arc::new(client);
    sender.send(Arc::clone(&client)).unwrap();
    drop(sender);
    track(&client.handle(), 100);
    assert_eq!(result.recv_timeout(AMPLE).unwrap().unwrap_err().pending, 100);
    client.flush(AMPLE).unwrap();
}

#[test]
fn drop_by_the_transport_returns_instead_of_waiting_for_itself() {
    let (sender, receiver) = mpsc::channel::<TelemetryClient>();
    let (held, thread) = mpsc::channel::<()>();
    let receiver = Mutex::new(receiver);
    let transport = move |_: Request| {
        let _held = &held;
        drop(receiver.lock().unwrap().recv_timeout(AMPLE));
        Ok(status(200))
    };
    let client = TelemetryClient::with_transport(eager(URL).build().unwrap(), transport);
    let handle = client.handle();
    sender.send(client).unwrap();
    drop(sender);
    track(&handle, 100);
    assert_eq!(thread.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
    let stats = handle.stats();
    assert_eq!((stats.delivered, stats.pending), (100, 0));
    assert!(stats.is_balanced());
}

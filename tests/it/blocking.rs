//! The blocking client against a collector, over real sockets.

mod answers;
mod transports;

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    RetryPolicy, TelemetryClient, TelemetryConfig, TelemetryConfigBuilder, TelemetryHandle,
};
use telemetry_collector::{Authorization, Collector};
use telemetry_tests::{KEY, Log, config, track};
use uuid::Uuid;

/// After this long, a test has failed.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// Where nobody listens: a free port could become another test's.
pub(crate) const ABSENT: &str = "http://127.0.0.1:1";

/// A collector that takes anything.
pub(crate) fn collector() -> Collector {
    Collector::start().expect("loopback can be bound")
}

/// A configuration that hardly waits between attempts.
pub(crate) fn eager(url: &str) -> TelemetryConfigBuilder {
    let initial_backoff = Duration::from_millis(1);
    let policy = RetryPolicy { initial_backoff, ..RetryPolicy::default() };
    config(url).retry_policy(policy).shutdown_timeout(AMPLE)
}

/// A client of the collector that hardly waits between attempts.
pub(crate) fn client(collector: &Collector) -> TelemetryClient {
    TelemetryClient::start(eager(collector.url()).build().expect("a configuration"))
}

/// The ids of the events that the collector holds.
pub(crate) fn ids(collector: &Collector) -> Vec<Uuid> {
    collector.events().iter().map(|event| event.event_id).collect()
}

/// Fails if `call` does not return at all, where a bare call would hang.
pub(crate) fn returned<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(AMPLE).expect("it returns")
}

/// Flushes with a deadline that no test waits for, and fails unless the flush gives up long before
/// it; returns how many events are pending.
pub(crate) fn gives_up(client: TelemetryClient) -> (TelemetryClient, u64) {
    returned(|| {
        let error = client.flush(5 * AMPLE).expect_err("the server does not take them");
        (client, error.pending)
    })
}

#[test]
fn what_is_tracked_arrives_in_order() {
    let collector = collector();
    let client = client(&collector);
    let tracked = track(&client.handle(), 3);
    let stats = client.stats();
    assert_eq!((stats.tracked, stats.pending, stats.requests), (3, 3, 0));
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
    let stats = client.stats();
    assert_eq!((stats.tracked, stats.delivered, stats.pending, stats.requests), (3, 3, 0, 1));
    assert!(stats.is_balanced());
}

#[test]
fn flushing_nothing_is_done_at_once() {
    let collector = collector();
    let client = client(&collector);
    client.flush(Duration::ZERO).unwrap();
    client.flush(Duration::MAX).unwrap();
    track(&client.handle(), 1);
    client.flush(AMPLE).unwrap();
    client.flush(Duration::ZERO).unwrap();
    assert_eq!(collector.totals().requests, 1);
}

#[test]
fn a_flush_need_not_have_a_deadline() {
    let collector = collector();
    let client = client(&collector);
    track(&client.handle(), 3);
    let client = returned(move || client.flush(Duration::MAX).map(|()| client)).unwrap();
    assert_eq!(client.stats().delivered, 3);
}

#[test]
fn a_flush_sends_all_batches() {
    let collector = collector();
    let client = client(&collector);
    let tracked = track(&client.handle(), 750);
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
}

#[test]
fn threads_can_flush_at_the_same_time() {
    let collector = collector();
    let client = client(&collector);
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                track(&client.handle(), 20);
                client.flush(AMPLE).unwrap();
            });
        }
    });
    assert_eq!(collector.totals().accepted, 160);
}

#[test]
fn a_flush_succeeds_beside_evictions() {
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
        let flushed: Vec<_> = (0..200)
            .map(|_| {
                track(&client.handle(), 1);
                client.flush(AMPLE)
            })
            .collect();
        goes_on.store(false, Ordering::Relaxed);
        assert!(flushed.iter().all(Result::is_ok), "{flushed:?}");
    });
}

#[test]
fn stopping_delivers_what_is_queued_and_closes_the_books() {
    let collector = collector();
    let client = client(&collector);
    let tracked = track(&client.handle(), 250);
    let stats = client.stop();
    assert_eq!(ids(&collector), tracked);
    assert_eq!((stats.tracked, stats.delivered, stats.pending), (250, 250, 0));
    assert!(stats.is_balanced());
}

#[test]
fn dropping_delivers_what_is_queued() {
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
fn stopping_with_nothing_to_do_sends_nothing() {
    let collector = collector();
    let stats = client(&collector).stop();
    assert_eq!((stats.tracked, stats.requests), (0, 0));
    assert_eq!(collector.totals().requests, 0);
}

#[test]
fn what_is_tracked_after_the_stop_is_dropped_and_counted() {
    let collector = collector();
    let client = client(&collector);
    let handle = client.handle();
    track(&handle, 2);
    client.stop();
    track(&handle, 3);
    let stats = handle.stats();
    assert_eq!((stats.tracked, stats.delivered, stats.dropped.closed), (5, 2, 3));
    assert!(stats.is_balanced());
    assert_eq!(collector.totals().received, 2);
}

#[test]
fn a_full_batch_arrives_without_a_flush() {
    let collector = collector();
    let client = client(&collector);
    let tracked = track(&client.handle(), 100);
    assert!(collector.wait_for(AMPLE, |totals| totals.accepted == 100));
    assert_eq!(ids(&collector), tracked);
}

#[test]
fn the_interval_sends_what_is_less_than_a_batch() {
    let collector = collector();
    let config = eager(collector.url()).submit_interval(Duration::from_millis(1));
    let client = TelemetryClient::start(config.build().unwrap());
    for round in 1..=3 {
        track(&client.handle(), 1);
        assert!(collector.wait_for(AMPLE, |totals| totals.accepted == round));
    }
}

#[test]
fn one_connection_carries_all_batches() {
    let collector = collector();
    let config = eager(collector.url()).batch_size(10).build().unwrap();
    let client = TelemetryClient::start(config);
    for _ in 0..5 {
        track(&client.handle(), 40);
        client.flush(AMPLE).unwrap();
    }
    let requests = collector.requests();
    assert!(requests.len() >= 20, "{}", requests.len());
    assert!(requests.iter().all(|request| request.connection == 1));
}

#[test]
fn requests_have_the_headers_of_the_protocol() {
    let collector = Collector::builder().api_key(KEY).start().unwrap();
    let client = client(&collector);
    track(&client.handle(), 1);
    client.flush(AMPLE).unwrap();
    let requests = collector.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/events/batch"));
    assert_eq!(request.authorization, Authorization::Right);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("accept"), Some("application/json"));
    let agent = concat!("mosaicstack-telemetry-rust/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
}

#[test]
fn many_events_of_many_threads_arrive_exactly_once() {
    let collector = collector();
    let config = eager(collector.url()).max_queue_size(10_000).build().unwrap();
    let client = TelemetryClient::start(config);
    let of_thread = || track(&client.handle(), 1_250);
    let mut tracked: Vec<Vec<Uuid>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(of_thread)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    client.flush(AMPLE).unwrap();
    let arrived = ids(&collector);
    assert_eq!(arrived.len(), 5_000);
    for own in &mut tracked {
        let arrived: Vec<_> = arrived.iter().filter(|id| own.contains(id)).collect();
        assert!(arrived.into_iter().eq(own.iter()), "each thread's events are in its order");
    }
    assert_eq!(collector.totals().duplicates, 0);
    assert_eq!(client.stop().delivered, 5_000);
}

#[test]
fn the_books_close_when_threads_track_during_the_stop() {
    for _ in 0..10 {
        let collector = collector();
        let client = client(&collector);
        let barrier = Arc::new(Barrier::new(9));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (handle, barrier) = (client.handle(), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    track(&handle, 300);
                })
            })
            .collect();
        let handle = client.handle();
        barrier.wait();
        client.stop();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let (stats, totals) = (handle.stats(), collector.stop());
        assert_eq!(stats.tracked, 2_400);
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((totals.accepted, totals.duplicates), (stats.delivered, 0));
    }
}

#[test]
fn an_eviction_is_booked_and_the_newest_events_arrive() {
    let collector = collector();
    let config = eager(collector.url()).max_queue_size(10).early_flush(false).build().unwrap();
    let client = TelemetryClient::start(config);
    let tracked = track(&client.handle(), 25);
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.evicted), (10, 15));
    assert!(stats.is_balanced());
    assert_eq!(ids(&collector), tracked[15..]);
}

#[test]
fn a_dry_run_sends_nothing() {
    let collector = collector();
    let config = eager(collector.url()).dry_run(true).build().unwrap();
    let client = TelemetryClient::start(config);
    track(&client.handle(), 150);
    client.flush(AMPLE).unwrap();
    let stats = client.stop();
    assert_eq!((stats.dropped.dry_run, stats.delivered, stats.requests), (150, 0, 0));
    assert!(stats.is_balanced());
    assert_eq!(collector.totals().requests, 0);
}

#[test]
fn disabled_telemetry_never_touches_its_transport() {
    let client = TelemetryClient::with_transport(TelemetryConfig::disabled(), |_| {
        panic!("there is nothing to send")
    });
    let handle = client.handle();
    track(&handle, 1_000);
    client.flush(Duration::ZERO).unwrap();
    let stats = client.stop();
    assert_eq!((stats.tracked, stats.dropped.disabled, stats.panics), (1_000, 1_000, 0));
    assert!(stats.is_balanced());
    track(&handle, 1);
    assert_eq!(handle.stats().dropped.disabled, 1_001);
}

#[test]
fn clients_and_handles_can_be_shared() {
    fn shared<T: Send + Sync + 'static>() {}
    fn cloned<T: Clone>() {}
    shared::<TelemetryClient>();
    shared::<TelemetryHandle>();
    cloned::<TelemetryHandle>();
}

#[test]
fn two_clients_keep_their_books_apart() {
    let (one, other) = (collector(), collector());
    let clients = [client(&one), client(&other)];
    track(&clients[0].handle(), 3);
    track(&clients[1].handle(), 4);
    assert_eq!(clients.map(|client| client.stop().delivered), [3, 4]);
    assert_eq!((one.totals().accepted, other.totals().accepted), (3, 4));
}

#[test]
fn what_is_left_behind_is_said() {
    for deadline in [Duration::ZERO, Duration::from_millis(1)] {
        let log = Log::new();
        let config = config(ABSENT).shutdown_timeout(deadline).build().unwrap();
        let client = TelemetryClient::start(config);
        track(&client.handle(), 3);
        drop(client);
        let said = log.lines("3 events are not delivered");
        assert_eq!(said.len(), 1, "{:?}", log.lines(""));
        assert!(said[0].starts_with("WARN mosaicstack_telemetry: "), "{said:?}");
    }
}

#[test]
fn that_telemetry_is_disabled_is_said() {
    let log = Log::new();
    drop(TelemetryClient::start(TelemetryConfig::disabled()));
    assert_eq!(log.lines("telemetry is disabled").len(), 1);
}

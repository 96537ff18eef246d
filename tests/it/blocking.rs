//! The blocking client where it differs: it waits for its thread.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
};

use mosaicstack_telemetry::{TelemetryClient, transport::Request};
use telemetry_tests::{status, track};

use crate::support::{AMPLE, collector, eager, ids};

const URL: &str = "https://example.com";

#[test]
fn drop_waits_until_queued_events_are_delivered() {
    let collector = collector();
    let client = TelemetryClient::start(eager(collector.url()).build().unwrap());
    let handle = client.handle();
    let tracked = track(&handle, 250);
    drop(client);
    assert_eq!(ids(&collector), tracked);
    let stats = handle.stats();
    assert_eq!((stats.delivered, stats.pending), (250, 0));
    assert!(stats.is_balanced());
}

#[test]
fn flush_during_evictions_ends_and_reports_those_of_its_own_events() {
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
        for error in results.into_iter().filter_map(Result::err) {
            // Of the queue, of the batch in flight, and those being counted by the two threads.
            assert!((1..=50 + 7 + 2).contains(&error.evicted), "{error:?}");
        }
    });
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
fn drop_and_stop_by_the_transport_return_instead_of_waiting_for_themselves() {
    let ends: [fn(TelemetryClient); 2] = [drop, |client| assert!(client.stop().is_balanced())];
    for end in ends {
        let (sender, receiver) = mpsc::channel::<TelemetryClient>();
        let (held, thread) = mpsc::channel::<()>();
        let receiver = Mutex::new(receiver);
        let transport = move |_: Request| {
            let _held = &held;
            // Fails from the second request on: the sender is dropped.
            let _ = receiver.lock().unwrap().recv_timeout(AMPLE).map(end);
            Ok(status(200))
        };
        let client = TelemetryClient::with_transport(eager(URL).build().unwrap(), transport);
        let handle = client.handle();
        sender.send(client).unwrap();
        drop(sender);
        track(&handle, 100);
        assert_eq!(thread.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
        let stats = handle.stats();
        assert_eq!((stats.delivered, stats.pending, stats.panics), (100, 0, 0));
        assert!(stats.is_balanced());
    }
}

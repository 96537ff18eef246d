//! Transports that are closures, among them those that misbehave.

use std::{
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use mosaicstack_telemetry::{
    Request, Response, TelemetryClient, Timeout, Transport, TransportError, UreqTransport,
};
use telemetry_tests::{events, status, track};

use super::{AMPLE, collector, eager, gives_up, ids, returned};

const URL: &str = "https://example.com";

#[test]
fn a_closure_is_a_transport() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let transport = {
        let bodies = Arc::clone(&bodies);
        move |request: Request| {
            assert_eq!(Timeout::of(&request), AMPLE);
            bodies.lock().unwrap().push(request.into_body());
            Ok(status(200))
        }
    };
    let config = eager(URL).request_timeout(AMPLE).early_flush(false).build().unwrap();
    let client = TelemetryClient::with_transport(config, transport);
    let tracked = track(&client.handle(), 150);
    client.flush(AMPLE).unwrap();
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.requests, stats.panics), (150, 2, 0));
    let bodies = bodies.lock().unwrap();
    let arrived = bodies.iter().flat_map(|body| events(body)).map(|event| event.event_id);
    assert!(arrived.eq(tracked));
}

#[test]
fn a_panic_of_the_transport_costs_an_attempt() {
    let collector = collector();
    let calls = AtomicUsize::new(0);
    let ureq = UreqTransport::new();
    let transport = move |request: Request| {
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            panic::resume_unwind(Box::new("a panic without a message"));
        }
        ureq.send(request)
    };
    let config = eager(collector.url()).build().unwrap();
    let client = TelemetryClient::with_transport(config, transport);
    let tracked = track(&client.handle(), 3);
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.panics, stats.requests, stats.retried), (3, 1, 2, 1));
    assert!(stats.is_balanced());
}

#[test]
fn a_transport_that_always_panics_stops_all_the_same() {
    let panics = |_: Request| -> Result<Response, TransportError> {
        panic::resume_unwind(Box::new("a panic without a message"))
    };
    let client = TelemetryClient::with_transport(eager(URL).build().unwrap(), panics);
    track(&client.handle(), 3);
    let (client, _) = gives_up(client);
    let stats = returned(|| client.stop());
    assert_eq!((stats.pending, stats.delivered), (3, 0));
    assert_eq!((stats.requests, stats.panics), (8, 8), "twice one attempt and three retries");
    assert!(stats.is_balanced());
}

#[test]
fn a_transport_can_track() {
    let (sender, receiver) = mpsc::sync_channel::<mosaicstack_telemetry::TelemetryHandle>(1);
    let receiver = Mutex::new(receiver);
    let transport = move |_: Request| {
        if let Ok(handle) = receiver.lock().unwrap().try_recv() {
            track(&handle, 5);
        }
        Ok(status(200))
    };
    let client = TelemetryClient::with_transport(eager(URL).build().unwrap(), transport);
    sender.send(client.handle()).unwrap();
    track(&client.handle(), 1);
    client.flush(AMPLE).unwrap();
    let stats = client.stop();
    assert_eq!((stats.tracked, stats.delivered), (6, 6));
}

#[test]
fn the_transport_is_dropped_with_the_client() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let (sender, receiver) = mpsc::channel::<()>();
    let transport = move |_: Request| {
        let _held = (&held, &sender);
        Ok(status(200))
    };
    let client = TelemetryClient::with_transport(eager(URL).build().unwrap(), transport);
    let handle = client.handle();
    drop(client);
    // Disconnected when the last owner, the thread, has gone.
    assert_eq!(receiver.recv_timeout(AMPLE), Err(mpsc::RecvTimeoutError::Disconnected));
    assert_eq!(Arc::strong_count(&alive), 1);
    drop(handle);
}

#[test]
fn a_transport_that_flushes_does_not_wait_for_itself() {
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
fn a_client_that_is_dropped_on_its_own_thread_does_not_wait_for_itself() {
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
    assert_eq!(thread.recv_timeout(AMPLE), Err(mpsc::RecvTimeoutError::Disconnected));
    let stats = handle.stats();
    assert_eq!((stats.delivered, stats.pending), (100, 0));
    assert!(stats.is_balanced());
}

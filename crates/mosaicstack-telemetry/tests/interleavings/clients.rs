//! A whole client with its worker thread: track, flush and stop.

use loom::sync::atomic::{AtomicBool, AtomicU32};

use super::*;
use crate::{
    Stats,
    sync::{Condvar, Mutex},
    transport::Transport,
};

/// The counters are consistent and agree with the server.
fn check_stats(stats: Stats, server: &Server) {
    assert!(stats.is_balanced(), "{stats:?}");
    assert_eq!(stats.delivered, server.names().len() as u64, "{stats:?}");
    assert_eq!(stats.panics, 0);
}

#[test]
fn event_tracked_before_stop_is_delivered() {
    check(2, || {
        let server = Server::default();
        let client = server.client(config());
        let handle = client.handle();
        let is_tracked = Arc::new(AtomicBool::new(false));
        let other = thread::spawn({
            let (handle, is_tracked) = (handle.clone(), Arc::clone(&is_tracked));
            move || {
                handle.track(event("other"));
                is_tracked.store(true, Ordering::Release);
            }
        });
        let is_before = is_tracked.load(Ordering::Acquire);
        let stats = client.stop();
        assert!(stats.delivered == 1 || !is_before, "{stats:?}");
        other.join().unwrap();
        check_stats(handle.stats(), &server);
        assert_eq!(handle.stats().tracked, 1);
    });
}

#[test]
fn event_tracked_during_stop_neither_delays_it_nor_loses_earlier_events() {
    check(2, || {
        let server = Server::default();
        let client = server.client(config());
        let handle = client.handle();
        client.track(event("before"));
        let other = thread::spawn({
            let handle = handle.clone();
            move || handle.track(event("during"))
        });
        assert!(client.stop().delivered >= 1);
        other.join().unwrap();
        check_stats(handle.stats(), &server);
        assert_eq!(server.names()[0], "before");
        assert_eq!(handle.stats().tracked, 2);
    });
}

#[test]
fn concurrent_shutdowns_both_wait_for_the_delivery() {
    check(2, || {
        let server = Server::default();
        let client = server.client(config());
        client.track(event("one"));
        let handle = client.handle();
        let other = thread::spawn(move || assert_eq!(handle.shutdown(LONG).delivered, 1));
        let stats = client.stop();
        other.join().unwrap();
        check_stats(stats, &server);
        assert_eq!(stats.delivered, 1);
    });
}

#[test]
fn flush_wakes_worker_that_falls_asleep() {
    check(3, || {
        let server = Server::default();
        let client = server.client(config());
        client.track(event("one"));
        assert_eq!(client.flush(LONG), Ok(()));
        assert_eq!(server.names(), ["one"]);
        check_stats(client.stop(), &server);
    });
}

#[test]
fn concurrent_flushes_wait_for_their_own_events() {
    check(1, || {
        let server = Server::default();
        let client = Arc::new(server.client(config().batch_size(1).early_flush(false)));
        let flush = |name: &'static str| {
            let (client, server) = (Arc::clone(&client), server.clone());
            move || {
                client.track(event(name));
                assert_eq!(client.flush(LONG), Ok(()));
                assert!(server.names().iter().any(|it| it == name), "{name} is in flight");
            }
        };
        let other = thread::spawn(flush("other"));
        flush("one")();
        other.join().unwrap();
        check_stats(Arc::into_inner(client).unwrap().stop(), &server);
        assert_eq!(server.names().len(), 2);
    });
}

/// Accepts all events and lets a thread wait for a number of them.
#[derive(Default)]
struct Counting {
    server: Server,
    accepted: Mutex<usize>,
    changed: Condvar,
}

impl Counting {
    fn wait_for(&self, count: usize) {
        let mut accepted = self.accepted.lock();
        while *accepted < count {
            self.changed.wait(&mut accepted);
        }
    }
}

struct To(Arc<Counting>);

impl Transport for To {
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.0.server.record(&request);
        *self.0.accepted.lock() = self.0.server.names().len();
        self.0.changed.notify_one();
        Ok(Response::default())
    }
}

#[test]
fn full_batch_wakes_worker() {
    // Two batches of one event, and one batch filled by two threads.
    for (preemptions, batch_size) in [(3, 1), (2, 2)] {
        check(preemptions, move || {
            let counting = Arc::<Counting>::default();
            let config = config().batch_size(batch_size).build().unwrap();
            let client = TelemetryClient::with_transport(config, To(Arc::clone(&counting)));
            let handle = client.handle();
            let other = (batch_size == 2).then(|| {
                let handle = handle.clone();
                thread::spawn(move || handle.track(event("other")))
            });
            client.track(event("one"));
            match other {
                Some(other) => other.join().unwrap(),
                None => client.track(event("two")),
            }
            counting.wait_for(2);
            check_stats(client.stop(), &counting.server);
        });
    }
}

#[test]
fn flush_fails_when_worker_gives_up() {
    check(2, || {
        let unreachable = |_: Request| -> Result<Response, TransportError> {
            Err(TransportError::network("unreachable"))
        };
        let config = config().max_retries(0).build().unwrap();
        let client = TelemetryClient::with_transport(config, unreachable);
        client.track(event("one"));
        let error = client.flush(Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.pending, 1);
        let stats = client.stop();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((stats.pending, stats.requests), (1, 2));
    });
}

#[test]
fn panic_of_transport_ends_flush() {
    check(2, || {
        let server = Server::default();
        let calls = AtomicU32::new(0);
        let transport = {
            let server = server.clone();
            move |request: Request| -> Result<Response, TransportError> {
                if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                    std::panic::resume_unwind(Box::new("the transport"));
                }
                server.record(&request);
                Ok(Response::default())
            }
        };
        let config = config().max_retries(0).build().unwrap();
        let client = TelemetryClient::with_transport(config, transport);
        client.track(event("one"));
        assert!(client.flush(Duration::from_millis(100)).is_err());
        let stats = client.stop();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((stats.delivered, stats.panics), (1, 1));
        assert_eq!(server.names().len(), 1);
    });
}

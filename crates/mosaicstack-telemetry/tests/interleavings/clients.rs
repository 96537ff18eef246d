//! A whole client with its thread: track, flush and stop.

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::{
    Stats, Transport,
    sync::{Condvar, Mutex},
};

/// The books balance and say what the server has.
fn check_books(stats: Stats, server: &Server) {
    assert!(stats.is_balanced(), "{stats:?}");
    assert_eq!(stats.delivered, server.names().len() as u64, "{stats:?}");
}

#[test]
fn what_is_tracked_before_stop_is_delivered() {
    check("track before stop", 2, || {
        let server = Server::default();
        let client = server.client(config());
        let handle = client.handle();
        let is_tracked = Arc::new(AtomicBool::new(false));
        let other = beside({
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
        let stats = handle.stats();
        check_books(stats, &server);
        assert_eq!(stats.tracked, 1);
        assert_eq!(stats.panics, 0);
    });
}

#[test]
fn what_is_tracked_beside_stop_costs_neither_what_came_before_nor_time() {
    check("track beside stop", 2, || {
        let server = Server::default();
        let client = server.client(config());
        let handle = client.handle();
        client.track(event("before"));
        let other = beside({
            let handle = handle.clone();
            move || handle.track(event("beside"))
        });
        // It returns, though time stands still.
        assert!(client.stop().delivered >= 1);
        other.join().unwrap();
        let stats = handle.stats();
        check_books(stats, &server);
        assert_eq!(server.names()[0], "before");
        assert_eq!(stats.tracked, 2);
    });
}

#[test]
fn a_flush_is_not_missed_by_a_worker_that_falls_asleep() {
    check("a flush and a worker that falls asleep", 3, || {
        let server = Server::default();
        let client = server.client(config());
        client.track(event("one"));
        assert_eq!(client.flush(AMPLE), Ok(()));
        assert_eq!(server.names(), ["one"]);
        check_books(client.stop(), &server);
    });
}

#[test]
fn each_flush_waits_for_all_that_came_before_it() {
    check("two flushes", 1, || {
        let server = Server::default();
        let client = Arc::new(server.client(config().batch_size(1).early_flush(false)));
        let flush = |name: &'static str| {
            let (client, server) = (Arc::clone(&client), server.clone());
            move || {
                client.track(event(name));
                assert_eq!(client.flush(AMPLE), Ok(()));
                assert!(server.has(name), "{name} is under way");
            }
        };
        let other = beside(flush("other"));
        flush("one")();
        other.join().unwrap();
        check_books(Arc::into_inner(client).unwrap().stop(), &server);
        assert_eq!(server.names().len(), 2);
    });
}

/// Takes everything, and says how much that is.
struct Counting {
    server: Server,
    taken: Mutex<usize>,
    changed: Condvar,
}

impl Counting {
    fn new() -> Arc<Self> {
        let server = Server::default();
        Arc::new(Self { server, taken: Mutex::new(0), changed: Condvar::default() })
    }

    fn wait_for(&self, count: usize) {
        let mut taken = self.taken.lock();
        while *taken < count {
            self.changed.wait(&mut taken);
        }
    }
}

struct To(Arc<Counting>);

impl Transport for To {
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.0.server.note(&request);
        *self.0.taken.lock() = self.0.server.names().len();
        self.0.changed.notify_one();
        Ok(Response::default())
    }
}

#[test]
fn a_full_batch_is_not_missed() {
    check("two full batches", 3, || {
        let counting = Counting::new();
        let config = config().batch_size(1).build().unwrap();
        let client = TelemetryClient::with_transport(config, To(Arc::clone(&counting)));
        client.track(event("one"));
        client.track(event("two"));
        counting.wait_for(2);
        check_books(client.stop(), &counting.server);
    });
}

#[test]
fn two_threads_fill_a_batch_that_is_not_missed() {
    check("a full batch of two threads", 2, || {
        let counting = Counting::new();
        let config = config().batch_size(2).build().unwrap();
        let client = TelemetryClient::with_transport(config, To(Arc::clone(&counting)));
        let handle = client.handle();
        let other = beside(move || handle.track(event("other")));
        client.track(event("one"));
        counting.wait_for(2);
        other.join().unwrap();
        check_books(client.stop(), &counting.server);
    });
}

#[test]
fn a_flush_gives_up_when_the_worker_has() {
    check("a flush that fails", 2, || {
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
fn the_last_notice_is_told_before_the_client_has_stopped() {
    check("stop and the last notice", 2, || {
        let server = Server::default();
        // Not loom's: it is looked at when all is over.
        let told = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let hook = {
            let told = Arc::clone(&told);
            move |_: &crate::Notice| {
                let _ = told.fetch_add(1, Ordering::Relaxed);
            }
        };
        let client = server.client(config().on_notification(hook));
        client.track(event("one"));
        let stats = client.stop();
        check_books(stats, &server);
        assert_eq!((stats.delivered, told.load(Ordering::Relaxed)), (1, 1));
    });
}

#[test]
fn a_transport_that_panics_leaves_nobody_waiting() {
    check("a panic of the transport", 2, || {
        let server = Server::default();
        let calls = AtomicU32::new(0);
        let transport = {
            let server = server.clone();
            move |request: Request| -> Result<Response, TransportError> {
                if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                    std::panic::resume_unwind(Box::new("the transport"));
                }
                server.note(&request);
                Ok(Response::default())
            }
        };
        let config = config().max_retries(0).build().unwrap();
        let client = TelemetryClient::with_transport(config, transport);
        client.track(event("one"));
        assert!(client.flush(Duration::from_millis(100)).is_err());
        let stats = client.stop();
        check_books(stats, &server);
        assert_eq!((stats.delivered, stats.panics), (1, 1));
    });
}

//! Concurrent producers and flushes, and a transport with every kind of failure.

use std::{
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::client::{Client, Kind, Reply};
use mosaicstack_telemetry::{
    RetryPolicy, Stats,
    transport::{Request, Response, TransportError},
};
use telemetry_tests::{config, events, long_tests, status};

const PRODUCERS: usize = 4;
const FLUSHERS: usize = 2;

/// Fails in turn in each way, and records the events that it accepts.
#[derive(Debug, Default)]
struct Server {
    /// Producer and number of each accepted event.
    accepted: Mutex<Vec<(usize, u64)>>,
    calls: AtomicUsize,
    panics: AtomicU64,
}

impl Server {
    fn reply(&self, request: &Request) -> Reply {
        match self.calls.fetch_add(1, Ordering::Relaxed) % 11 {
            1 | 6 => Ok(status(503)),
            3 => Err(TransportError::Timeout),
            8 => {
                self.panics.fetch_add(1, Ordering::Relaxed);
                panic::resume_unwind(Box::new("a panic without a message"))
            }
            9 => Ok(status(401)),
            _ => {
                let accepted = events(request.body());
                if accepted.iter().any(|event| event.task_duration_ms % 500 == 7) {
                    return Ok(status(422));
                }
                let accepted = accepted.iter().map(|event| {
                    (event.model.parse().expect("a producer"), event.task_duration_ms)
                });
                self.accepted.lock().expect("no panic").extend(accepted);
                Ok(Response::default())
            }
        }
    }

    /// Compares with the counters after `stop`.
    fn check(&self, stats: Stats, each: u64) {
        let accepted = self.accepted.lock().expect("no panic");
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!(stats.tracked, PRODUCERS as u64 * each);
        assert_eq!(stats.delivered, accepted.len() as u64, "{stats:?}");
        assert!(stats.rejected <= PRODUCERS as u64 * (each / 500 + 1), "{stats:?}");
        assert_eq!(stats.panics, self.panics.load(Ordering::Relaxed), "{stats:?}");
        assert_eq!(stats.requests, self.calls.load(Ordering::Relaxed) as u64, "{stats:?}");
        assert_eq!(stats.dropped.total(), 0, "{stats:?}");
        assert!(stats.delivered > 0 && stats.retried > 0, "{stats:?}");
        for producer in 0..PRODUCERS {
            let numbers = accepted.iter().filter(|it| it.0 == producer).map(|it| it.1);
            let in_order = numbers.is_sorted_by(|earlier, later| earlier < later);
            assert!(in_order, "producer {producer}: accepted twice or out of order");
        }
    }
}

#[test]
fn concurrent_events_are_accounted_for_in_order_despite_failures() {
    let each = if long_tests() { 200_000 } else { 3_000 };
    for kind in Kind::ALL {
        let server = Arc::<Server>::default();
        let policy = RetryPolicy {
            max_retries: 2,
            initial_backoff: Duration::from_micros(50),
            max_backoff: Duration::from_micros(200),
            ..RetryPolicy::default()
        };
        let config = config("https://example.com")
            .retry_policy(policy)
            .max_queue_size(500)
            .batch_size(20)
            .shutdown_timeout(Duration::from_secs(60));
        let transport = {
            let server = Arc::clone(&server);
            move |request: Request| server.reply(&request)
        };
        let client = Client::with_transport(kind, config.build().unwrap(), transport);
        let (handle, producing) = (&client.handle(), &AtomicUsize::new(PRODUCERS));
        thread::scope(|scope| {
            for producer in 0..PRODUCERS {
                scope.spawn(move || {
                    for number in 0..each {
                        let event = handle.event().model(producer.to_string()).duration_ms(number);
                        handle.track(event.build());
                        if number % 64 == 0 {
                            thread::yield_now();
                        }
                    }
                    producing.fetch_sub(1, Ordering::Relaxed);
                });
            }
            for _ in 0..FLUSHERS {
                scope.spawn(|| {
                    while producing.load(Ordering::Relaxed) > 0 {
                        // May fail, as the transport does.
                        let _ = client.flush(Duration::from_millis(20));
                    }
                });
            }
        });
        server.check(client.stop(), each);
    }
}

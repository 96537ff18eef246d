//! Producers, callers of flush, a transport that fails in every way, and a stop: the books close.

use std::{
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, FlushError, Request, Response, RetryPolicy, Stats, TelemetryClient,
    TelemetryConfig, TelemetryHandle, TransportError,
};
use telemetry_tests::{config, events, evidence, status};

const PRODUCERS: usize = 4;
const FLUSHERS: usize = 2;

/// Fails in turn in all ways, and notes what it has taken.
#[derive(Debug, Default)]
struct Server {
    /// The producer and the number of each event that was accepted.
    accepted: Mutex<Vec<(usize, u64)>>,
    calls: AtomicUsize,
    rejected: AtomicU64,
    panics: AtomicU64,
}

impl Server {
    fn answer(&self, request: &Request) -> Result<Response, TransportError> {
        match self.calls.fetch_add(1, Ordering::Relaxed) % 11 {
            1 | 6 => Ok(status(503)),
            3 => Err(TransportError::Timeout),
            5 => {
                let events = events(request.body()).len();
                self.rejected.fetch_add(u64::from(events == 1), Ordering::Relaxed);
                Ok(status(422))
            }
            8 => {
                self.panics.fetch_add(1, Ordering::Relaxed);
                // Without a message on standard error.
                panic::resume_unwind(Box::new("the transport"))
            }
            9 => Ok(status(401)),
            _ => {
                let taken = events(request.body());
                let taken = taken.iter().map(|event| {
                    (event.model.parse().expect("a producer"), event.task_duration_ms)
                });
                self.accepted.lock().expect("no panic").extend(taken);
                Ok(Response::default())
            }
        }
    }

    /// `stats` are of the time after `stop`.
    fn check(&self, what: &str, stats: Stats, each: u64, flushes: usize) {
        let accepted = self.accepted.lock().expect("no panic");
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!(stats.tracked, PRODUCERS as u64 * each);
        assert_eq!(stats.delivered, accepted.len() as u64, "{stats:?}");
        assert_eq!(stats.rejected, self.rejected.load(Ordering::Relaxed), "{stats:?}");
        assert_eq!(stats.panics, self.panics.load(Ordering::Relaxed), "{stats:?}");
        assert_eq!(stats.requests, self.calls.load(Ordering::Relaxed) as u64, "{stats:?}");
        assert_eq!(stats.dropped.total(), 0, "{stats:?}");
        assert!(stats.delivered > 0 && stats.retried > 0, "{stats:?}");
        for producer in 0..PRODUCERS {
            let numbers = accepted.iter().filter(|it| it.0 == producer).map(|it| it.1);
            let in_order = numbers.is_sorted_by(|earlier, later| earlier < later);
            assert!(in_order, "producer {producer}: accepted twice, or the order is lost");
        }
        let said = format_args!(
            "{PRODUCERS} producers and {FLUSHERS} callers of flush, {what}: {flushes} flushes, {} \
             requests, {stats}",
            stats.requests
        )
        .to_string();
        evidence::tried("R3", format_args!("{said}"));
        evidence::tried("R4", format_args!("{said}; in order"));
    }
}

fn settings() -> TelemetryConfig {
    let policy = RetryPolicy {
        max_retries: 2,
        initial_backoff: Duration::from_micros(50),
        max_backoff: Duration::from_micros(200),
        ..RetryPolicy::default()
    };
    let config = config("https://example.com").retry_policy(policy);
    config
        .max_queue_size(500)
        .batch_size(20)
        .shutdown_timeout(Duration::from_secs(60))
        .build()
        .expect("a configuration")
}

/// Tracks from all producers while the others call `flush`; returns how often they did.
fn run(
    handle: &TelemetryHandle,
    each: u64,
    flush: impl Fn() -> Result<(), FlushError> + Sync,
) -> usize {
    let producing = AtomicUsize::new(PRODUCERS);
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let producing = &producing;
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
        let flushing = || {
            let mut flushes = 0;
            while producing.load(Ordering::Relaxed) > 0 {
                // Whether it succeeds is the transport's affair.
                let _ = flush();
                flushes += 1;
            }
            flushes
        };
        let flushers: Vec<_> = (0..FLUSHERS).map(|_| scope.spawn(flushing)).collect();
        flushers.into_iter().map(|flusher| flusher.join().expect("no panic")).sum()
    })
}

#[test]
fn the_books_of_a_thread_close_whatever_fails() {
    let each = evidence::scale(3_000, 200_000);
    let server = Arc::<Server>::default();
    let transport = {
        let server = Arc::clone(&server);
        move |request: Request| -> Result<Response, TransportError> { server.answer(&request) }
    };
    let client = TelemetryClient::with_transport(settings(), transport);
    let handle = client.handle();
    let flushes = run(&handle, each, || client.flush(Duration::from_millis(20)));
    server.check("a thread", client.stop(), each, flushes);
}

#[test]
fn the_books_of_a_task_close_whatever_fails() {
    let each = evidence::scale(3_000, 200_000);
    let server = Arc::<Server>::default();
    let transport = {
        let server = Arc::clone(&server);
        move |request: Request| {
            let answer = server.answer(&request);
            async { answer }
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let client =
        runtime.block_on(async { AsyncTelemetryClient::with_transport(settings(), transport) });
    let handle = client.handle();
    let flush = || runtime.block_on(client.flush(Duration::from_millis(20)));
    let flushes = run(&handle, each, flush);
    let stats = runtime.block_on(client.stop());
    server.check("a task", stats, each, flushes);
}

//! Track, flush and stop, again and again, with real threads: nothing tracked before `stop` is missed.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Request, Response, Stats, TelemetryClient, TelemetryConfig,
    TelemetryHandle, TransportError,
};
use telemetry_tests::{config, events, evidence, track};
use uuid::Uuid;

/// No iteration comes near it.
const AMPLE: Duration = Duration::from_secs(60);

/// What a server that takes everything has been sent.
#[derive(Clone, Debug, Default)]
struct Taken(Arc<Mutex<Vec<Uuid>>>);

impl Taken {
    fn take(&self, request: &Request) {
        let ids = events(request.body()).into_iter().map(|event| event.event_id);
        self.0.lock().expect("no panic").extend(ids);
    }
}

/// What differs between iterations.
#[derive(Clone, Copy, Debug)]
struct Round {
    threads: usize,
    each: usize,
    batch: usize,
    flushes: bool,
}

impl Round {
    fn number(number: usize) -> Self {
        Self {
            threads: 1 + number % 3,
            each: 1 + number / 3 % 4,
            batch: 1 + number / 12 % 5,
            flushes: number / 60 % 2 == 1,
        }
    }

    fn config(self) -> TelemetryConfig {
        let config = config("https://example.com").batch_size(self.batch);
        config.shutdown_timeout(AMPLE).build().expect("a configuration")
    }

    /// Tracks from several threads that begin together; returns the ids once all are done.
    fn track(self, handle: &TelemetryHandle) -> Vec<Uuid> {
        let start = Barrier::new(self.threads);
        thread::scope(|scope| {
            let tracking = || {
                start.wait();
                track(handle, self.each)
            };
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(tracking)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        })
    }
}

/// Tracks until it is told to end.
struct Straggler {
    is_over: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Straggler {
    fn new(handle: TelemetryHandle) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let ends = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            // So few that none is evicted.
            for _ in 0..500 {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                track(&handle, 1);
                thread::yield_now();
            }
        });
        Self { is_over, thread }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic");
    }
}

#[derive(Default)]
struct Totals {
    before: usize,
    beside: u64,
    closed: u64,
}

impl Totals {
    /// `stats` are of the time when nobody tracks any more.
    fn check(&mut self, number: usize, before: &[Uuid], taken: &Taken, stats: Stats) {
        let taken = taken.0.lock().expect("no panic");
        for id in before {
            let times = taken.iter().filter(|it| *it == id).count();
            assert_eq!(times, 1, "iteration {number}: {id} of {stats:?}");
        }
        assert!(stats.is_balanced(), "iteration {number}: {stats:?}");
        assert_eq!(stats.delivered, taken.len() as u64, "iteration {number}: {stats:?}");
        let all = stats.delivered + stats.dropped.closed + stats.pending;
        assert_eq!(stats.tracked, all, "iteration {number}: {stats:?}");
        self.before += before.len();
        self.beside += stats.tracked - before.len() as u64;
        self.closed += stats.dropped.closed;
    }

    fn say(&self, what: &str, iterations: usize) {
        let Self { before, beside, closed } = self;
        assert!(*beside > 0, "nothing was tracked beside a stop");
        evidence::tried(
            "R6",
            format_args!(
                "{iterations} iterations of track, flush and stop, {what}: {before} events before \
                 stop, all delivered; {beside} beside it, {closed} of them too late"
            ),
        );
    }
}

#[test]
fn a_thread_delivers_all_that_was_tracked_before_stop() {
    let iterations = evidence::scale(300, 10_000);
    let mut totals = Totals::default();
    for number in 0..iterations {
        let (round, taken) = (Round::number(number), Taken::default());
        let server = taken.clone();
        let transport = move |request: Request| -> Result<Response, TransportError> {
            server.take(&request);
            Ok(Response::default())
        };
        let client = TelemetryClient::with_transport(round.config(), transport);
        let handle = client.handle();
        let mut before = round.track(&handle);
        if round.flushes {
            assert_eq!(client.flush(AMPLE), Ok(()), "iteration {number}");
            assert_eq!(taken.0.lock().unwrap().len(), before.len(), "iteration {number}");
            before.extend(round.track(&handle));
        }
        let straggler = Straggler::new(handle.clone());
        let stats = client.stop();
        assert!(stats.delivered >= before.len() as u64, "iteration {number}: {stats:?}");
        straggler.end();
        totals.check(number, &before, &taken, handle.stats());
    }
    totals.say("on a thread", iterations);
}

#[test]
fn a_task_delivers_all_that_was_tracked_before_stop() {
    let iterations = evidence::scale(300, 10_000);
    let mut totals = Totals::default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for number in 0..iterations {
        let (round, taken) = (Round::number(number), Taken::default());
        let server = taken.clone();
        let transport = move |request: Request| {
            server.take(&request);
            async { Ok::<_, TransportError>(Response::default()) }
        };
        let context = runtime.enter();
        let client = AsyncTelemetryClient::with_transport(round.config(), transport);
        drop(context);
        let handle = client.handle();
        let mut before = round.track(&handle);
        if round.flushes {
            assert_eq!(runtime.block_on(client.flush(AMPLE)), Ok(()), "iteration {number}");
            assert_eq!(taken.0.lock().unwrap().len(), before.len(), "iteration {number}");
            before.extend(round.track(&handle));
        }
        let straggler = Straggler::new(handle.clone());
        let stats = runtime.block_on(client.stop());
        assert!(stats.delivered >= before.len() as u64, "iteration {number}: {stats:?}");
        straggler.end();
        totals.check(number, &before, &taken, handle.stats());
    }
    totals.say("on tokio", iterations);
}

//! A client under load, with a server that fails at random.

use std::{
    env,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{RetryPolicy, TelemetryClient, TelemetryConfig, TelemetryHandle};
use telemetry_collector::{
    BatchReport, Collector, EVENTS_PATH, FaultRule, Position, ResponseTemplate,
};
use telemetry_tests::{long_tests, now, resident};
use uuid::Uuid;

use crate::support::{AMPLE, run_alone};

/// Environment variable with the duration in seconds; ten minutes without it.
const SECONDS: &str = "TELEMETRY_SOAK_SECONDS";

const PER_SECOND: usize = 10_000;

/// No event is evicted unless the machine stops for five seconds.
const QUEUE: usize = 50_000;

/// Seconds in which memory may grow: buffers and the queue reach their size.
const WARM_UP: usize = 60;

/// Bound of the range of memory after that, in KiB.
const FLAT: u64 = 8 * 1024;

const SECOND: Duration = Duration::from_secs(1);

/// The numbers of the accepted events, which are their ids.
#[derive(Debug, Default)]
struct Accepted {
    /// A bit for each number.
    words: Vec<u64>,
    count: u64,
}

impl Accepted {
    fn add(&mut self, batch: &BatchReport) {
        let before = self.count;
        for id in batch.receipt.results.iter().filter_map(|result| result.event_id) {
            let number = usize::try_from(id.as_u128()).expect("a number");
            let (word, bit) = (&mut self.words[number / 64], 1 << (number % 64));
            self.count += u64::from(*word & bit == 0);
            *word |= bit;
        }
        assert_eq!(self.count - before, batch.accepted, "{batch}");
    }
}

/// Tracks the events numbered from `from` up to `to`.
fn track(handle: &TelemetryHandle, from: usize, to: usize) {
    for number in from..to {
        handle.track(handle.event().event_id(Uuid::from_u128(number as u128)).build());
    }
}

/// A server that fails at random, less often where a failure takes a second.
fn failing(accepted: Arc<Mutex<Accepted>>) -> Collector {
    const SEED: u64 = 7;
    let collector = Collector::builder()
        // Ids are kept for longer than any event is retried.
        .max_events(200_000)
        .on_batch(move |batch| accepted.lock().expect("not poisoned").add(batch));
    let collector = collector.start().expect("a collector");
    let busy = |seconds| ResponseTemplate::status(429).header("retry-after", seconds);
    let rare = 0.0003;
    for (probability, answer) in [
        (0.01, ResponseTemplate::status(503)),
        (0.005, busy("0")),
        (rare, busy("1")),
        (0.01, ResponseTemplate::close()),
        (0.01, ResponseTemplate::close_after_processing()),
        (0.005, ResponseTemplate::normal().cut(Position::InBody)),
        (0.005, ResponseTemplate::normal().cut(Position::InHead)),
        (0.01, ResponseTemplate::normal().delay(Duration::from_millis(30))),
        // After the request timeout.
        (rare, ResponseTemplate::normal().delay(3 * SECOND)),
        (rare, ResponseTemplate::hang()),
    ] {
        let fault = FaultRule::new(answer).path(EVENTS_PATH);
        collector.fault(fault.probability(probability).seed(SEED));
    }
    collector.fault(FaultRule::close_before_reading().probability(0.2).seed(SEED));
    collector
}

fn config(collector: &Collector) -> TelemetryConfig {
    let (max_retries, initial_backoff) = (10, Duration::from_millis(1));
    let config = telemetry_tests::config(collector.url())
        .max_queue_size(QUEUE)
        .request_timeout(SECOND)
        .submit_interval(SECOND)
        .retry_policy(RetryPolicy { max_retries, initial_backoff, ..RetryPolicy::default() })
        .shutdown_timeout(2 * AMPLE);
    config.build().expect("a configuration")
}

/// Only among the long tests.
#[test]
fn memory_is_flat_under_load() {
    if !long_tests() || run_alone(memory_is_flat_under_load, &[]).is_some() {
        return;
    }
    let seconds = env::var(SECONDS).ok().map_or(600, |it| it.parse().expect("seconds"));
    // At its full size from the start, as the memory is measured.
    let words = vec![0; (seconds as usize + 60) * PER_SECOND / 64];
    let accepted = Arc::new(Mutex::new(Accepted { words, count: 0 }));
    let collector = failing(Arc::clone(&accepted));
    let client = TelemetryClient::start(config(&collector));
    let handle = client.handle();
    // An outage fills the queue first, so that no later one needs more memory.
    collector.script([ResponseTemplate::status(429).header("retry-after", "2")]);
    track(&handle, 0, 100);
    assert!(collector.wait_for(AMPLE, |totals| totals.requests > 0));
    let opening = 100 + QUEUE;
    track(&handle, 100, opening);
    client.flush(4 * AMPLE).expect("the outage ends");
    let evicted_before = client.stats().evicted;
    let (start, mut tracked, mut sizes) = (now(), 0, Vec::new());
    for second in 1..=seconds {
        while start.elapsed() < second * SECOND {
            let due = PER_SECOND * start.elapsed().as_millis() as usize / 1_000;
            track(&handle, opening + tracked, opening + due);
            tracked = due;
            thread::park_timeout(Duration::from_millis(10));
        }
        sizes.extend(resident());
    }
    let rate = tracked as f64 / start.elapsed().as_secs_f64();
    assert!(rate > 0.95 * PER_SECOND as f64, "{rate:.0} events a second");
    client.flush(4 * AMPLE).expect("the server accepts most requests");
    let (stats, totals) = (client.stop(), collector.stop());
    let evicted = stats.evicted - evicted_before;
    assert!(stats.is_balanced() && evicted * 100 <= stats.tracked, "{stats:?}");
    assert_eq!((stats.rejected, stats.pending, stats.panics), (0, 0, 0), "{stats:?}");
    assert_eq!(totals.rejected, 0);
    let accepted = accepted.lock().expect("not poisoned");
    assert_eq!(totals.accepted, accepted.count, "each id once");
    // An event evicted after an ambiguous response may have been accepted.
    assert!((stats.delivered..=stats.tracked).contains(&totals.accepted), "{stats:?} {totals:?}");
    let after = sizes.get(WARM_UP..).unwrap_or_default();
    let (Some(least), Some(most)) = (after.iter().min(), after.iter().max()) else {
        panic!("{SECONDS}: expected more than {WARM_UP}, and /proc")
    };
    assert!(most - least < FLAT, "KiB each second: {sizes:?}");
}

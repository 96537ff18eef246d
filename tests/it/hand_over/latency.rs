//! How long `track` takes: for `cargo xtask evidence` alone, since it depends on the machine.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use mosaicstack_telemetry::{AsyncTelemetryClient, TelemetryClient, TelemetryHandle};
use telemetry_tests::{Kind, config, evidence};
use tokio::runtime::Builder;

use super::event;
use crate::blocking::ABSENT;

const PRODUCERS: usize = 8;

const EACH: usize = 500_000;

/// The longest that one call in a thousand may take.
const MOST: Duration = Duration::from_micros(20);

/// The machine has other things to do, too.
const TRIES: usize = 3;

/// How often a call took so many nanoseconds.
#[derive(Debug)]
struct Histogram {
    /// To the nanosecond, below a tenth of a millisecond.
    counts: Vec<u64>,
    longer: Vec<Duration>,
}

impl Histogram {
    fn new() -> Self {
        Self { counts: vec![0; 100_000], longer: Vec::new() }
    }

    fn add(&mut self, took: Duration) {
        let nanoseconds = usize::try_from(took.as_nanos()).unwrap_or(usize::MAX);
        match self.counts.get_mut(nanoseconds) {
            Some(count) => *count += 1,
            None => self.longer.push(took),
        }
    }

    fn merge(&mut self, other: Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(sum, count)| *sum += count);
        self.longer.extend(other.longer);
        self.longer.sort_unstable();
    }

    fn len(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.longer.len() as u64
    }

    /// So long, or less, took this many of a thousand calls.
    fn of_thousand(&self, share: u64) -> Duration {
        let mut left = (self.len() * share).div_ceil(1_000);
        for (nanoseconds, &count) in (0..).zip(&self.counts) {
            if left <= count {
                return Duration::from_nanos(nanoseconds);
            }
            left -= count;
        }
        let place = usize::try_from(left).unwrap_or_default().saturating_sub(1);
        self.longer.get(place).copied().unwrap_or_default()
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, p999, max] = [500, 990, 999, 1_000].map(|share| self.of_thousand(share));
        write!(f, "p50 {p50:?}, p99 {p99:?}, p99.9 {p999:?}, max {max:?}")
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn now() -> Instant {
    Instant::now()
}

/// Each producer's calls, one after the other; events are built in between.
fn measured(handle: &TelemetryHandle) -> Histogram {
    let produce = || {
        let mut histogram = Histogram::new();
        for _ in 0..EACH {
            let event = event(handle);
            let start = now();
            handle.track(event);
            histogram.add(start.elapsed());
        }
        histogram
    };
    let mut all = Histogram::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..PRODUCERS).map(|_| scope.spawn(produce)).collect();
        threads.into_iter().for_each(|it| all.merge(it.join().expect("track never panics")));
    });
    all
}

#[test]
fn track_is_quick_with_many_producers_a_full_queue_and_a_dead_server() {
    if !evidence::is_wanted() {
        return;
    }
    for kind in Kind::ALL {
        let config = config(ABSENT).submit_interval(Duration::from_millis(10));
        let config = config.shutdown_timeout(Duration::ZERO).build().expect("a configuration");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (blocking, tokio) = match kind {
            Kind::Blocking => (Some(TelemetryClient::start(config)), None),
            Kind::Tokio => {
                let start = async { AsyncTelemetryClient::start(config) };
                (None, Some(runtime.block_on(start)))
            }
        };
        let handle = blocking.as_ref().map(TelemetryClient::handle);
        let handle = handle.or_else(|| tokio.as_ref().map(AsyncTelemetryClient::handle));
        let handle = handle.expect("one of them");
        telemetry_tests::track(&handle, 1_000);

        let mut tries = Vec::new();
        while tries.len() < TRIES
            && tries.last().is_none_or(|it: &Histogram| it.of_thousand(999) >= MOST)
        {
            tries.push(measured(&handle));
        }
        let told: Vec<_> = tries.iter().map(Histogram::to_string).collect();
        let told = told.join("; again: ");
        let last = tries.last().expect("a try");
        let (calls, stats) = (last.len(), handle.stats());
        assert!(last.of_thousand(999) < MOST, "{kind:?}: {told}");
        assert!(stats.requests > 0 && stats.evicted > 0 && stats.panics == 0, "{stats:?}");
        evidence::tried(
            "R1",
            format_args!(
                "{calls} calls of {PRODUCERS} producers, {kind:?}, dead server, full queue: {told}"
            ),
        );
    }
}

#[test]
fn a_histogram_finds_its_percentiles() {
    let mut histogram = Histogram::new();
    (1..=998).for_each(|n| histogram.add(Duration::from_nanos(n)));
    let mut other = Histogram::new();
    [Duration::from_secs(2), Duration::from_millis(1)].into_iter().for_each(|it| other.add(it));
    histogram.merge(other);
    let found = [1, 500, 998, 999, 1_000].map(|share| histogram.of_thousand(share));
    let nanoseconds = Duration::from_nanos;
    let expected = [nanoseconds(1), nanoseconds(500), nanoseconds(998)];
    assert_eq!(found[..3], expected);
    assert_eq!(found[3..], [Duration::from_millis(1), Duration::from_secs(2)]);
}

//! A client under load, with a server that fails at random.

use std::{
    env,
    ops::Range,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{RetryPolicy, Stats, TelemetryConfig, TelemetryHandle};
use telemetry_collector::{
    BatchReport, Collector, EVENTS_PATH, FaultRule, Position, ResponseTemplate,
};
use telemetry_tests::{Kind, long_tests, now, resident};
use uuid::Uuid;

use crate::{any_client::AnyClient, blocking::AMPLE, guide::said_alone};

/// Environment variable with the duration in seconds; ten minutes without it.
const SECONDS: &str = "TELEMETRY_SOAK_SECONDS";

const PER_SECOND: u64 = 10_000;

/// No event is evicted unless the machine stops for five seconds.
const QUEUE: usize = 50_000;

/// Seconds in which memory may grow: buffers and the queue reach their size.
const WARM_UP: usize = 60;

/// Bound of the range of memory after that, in KiB.
const FLAT: u64 = 8 * 1024;

const SECOND: Duration = Duration::from_secs(1);

/// A set of accepted events, and the number of duplicates.
#[derive(Debug, Default)]
struct Accepted {
    bits: Vec<bool>,
    distinct: u64,
    repeated: u64,
}

impl Accepted {
    fn add(&mut self, seen: &BatchReport) {
        let before = (self.distinct, self.repeated);
        for id in seen.receipt.results.iter().filter_map(|result| result.event_id) {
            let number = usize::try_from(id.as_u128()).expect("ids are numbers");
            self.bits.resize(self.bits.len().max(number + 1), false);
            let is_repeated = std::mem::replace(&mut self.bits[number], true);
            *(if is_repeated { &mut self.repeated } else { &mut self.distinct }) += 1;
        }
        // The collector counts in another way.
        let own = (self.distinct - before.0, self.repeated - before.1);
        assert_eq!(own, (seen.accepted, seen.duplicates), "{seen}");
    }
}

/// A server that fails at random, `often` times as often as in a long test; less often where a failure
/// takes a second.
fn failing(often: f64) -> (Collector, Arc<Mutex<Accepted>>) {
    const SEED: u64 = 7;
    let accepted = Arc::<Mutex<Accepted>>::default();
    let adding = Arc::clone(&accepted);
    // It remembers ids for longer than any event is tried.
    let collector = Collector::builder().max_events(200_000).on_batch(move |seen| {
        adding.lock().expect("not poisoned").add(seen);
    });
    let collector = collector.start().expect("loopback can be bound");
    let busy = |seconds| ResponseTemplate::status(429).header("retry-after", seconds);
    let rare = 0.0003 / often.sqrt();
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
        collector.fault(fault.probability((probability * often).min(0.1)).seed(SEED));
    }
    collector.fault(FaultRule::close_before_reading().probability(0.2).seed(SEED));
    (collector, accepted)
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

fn track(handle: &TelemetryHandle, numbers: Range<u64>) {
    for number in numbers {
        handle.track(handle.event().event_id(Uuid::from_u128(number.into())).build());
    }
}

/// Flushes and stops: all events are delivered, and each was accepted once.
fn finish(client: AnyClient, collector: Collector, accepted: &Mutex<Accepted>) -> Stats {
    client.flush(4 * AMPLE).expect("the server accepts most requests");
    let (stats, _) = client.stop();
    assert!(stats.is_balanced(), "{stats:?}");
    assert_eq!((stats.rejected, stats.pending, stats.panics), (0, 0, 0), "{stats:?}");
    let totals = collector.stop();
    let accepted = accepted.lock().expect("not poisoned");
    assert_eq!((totals.accepted, totals.duplicates), (accepted.distinct, accepted.repeated));
    assert_eq!(totals.rejected, 0);
    // Missing events were evicted; an event evicted after an ambiguous answer may be there.
    let has = |number| accepted.bits.get(number as usize).is_some_and(|it| *it);
    let missing = (0..stats.tracked).filter(|&number| !has(number)).count() as u64;
    assert_eq!(accepted.distinct + missing, stats.tracked, "ids that were never tracked");
    assert!(missing <= stats.evicted, "{missing} are missing, {stats:?}");
    stats
}

#[test]
fn every_event_arrives_exactly_once_from_a_server_that_fails_at_random() {
    for kind in Kind::ALL {
        let (collector, accepted) = failing(20.0);
        let client = AnyClient::start(kind, config(&collector));
        track(&client.handle(), 0..10_000);
        let stats = finish(client, collector, &accepted);
        assert_eq!(stats.evicted, 0);
        let duplicates = accepted.lock().expect("not poisoned").repeated;
        assert!(stats.retried > 0 && duplicates > 0, "{duplicates} duplicates, {stats:?}");
    }
}

/// Only among the long tests, in its own process.
#[test]
fn memory_is_flat_under_load() {
    let name = "::memory_is_flat_under_load";
    if !long_tests() || said_alone(&[module_path!(), name].concat(), &[]).is_some() {
        return;
    }
    let seconds = env::var(SECONDS).ok().map_or(600, |it| it.parse().expect("seconds"));
    let (collector, accepted) = failing(1.0);
    let client = AnyClient::start(Kind::Blocking, config(&collector));
    let handle = client.handle();
    // An outage fills the queue first, so that no later one needs more memory.
    collector.script([ResponseTemplate::status(429).header("retry-after", "2")]);
    track(&handle, 0..100);
    assert!(collector.wait_for(AMPLE, |totals| totals.requests > 0));
    let before = 100 + QUEUE as u64;
    track(&handle, 100..before);
    let (start, mut next, mut sizes) = (now(), before, Vec::new());
    for second in 1..=seconds {
        while start.elapsed() < second * SECOND {
            let due = before + PER_SECOND * start.elapsed().as_millis() as u64 / 1_000;
            track(&handle, next..due);
            next = due;
            thread::park_timeout(Duration::from_millis(10));
        }
        sizes.extend(resident());
    }
    let rate = (next - before) as f64 / start.elapsed().as_secs_f64();
    assert!(rate > 0.95 * PER_SECOND as f64, "{rate:.0} events a second");
    let stats = finish(client, collector, &accepted);
    assert!(stats.evicted * 100 <= stats.tracked, "{stats:?}");
    let after = sizes.get(WARM_UP..).unwrap_or_default();
    let (Some(least), Some(most)) = (after.iter().min(), after.iter().max()) else {
        panic!("{SECONDS}: expected more than {WARM_UP}, and /proc")
    };
    assert!(most - least < FLAT, "KiB each second: {sizes:?}");
}

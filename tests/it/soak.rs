//! A client under load, with a server that fails at random.

use std::{
    env,
    sync::{Arc, Mutex},
    time::Duration,
};

use telemetry_collector::{
    BatchReport, Collector, EVENTS_PATH, FaultRule, Position, ResponseTemplate,
};
use telemetry_tests::{Kind, Order, Remote, Report, Settings, long_tests};

use crate::{blocking::AMPLE, child::CLIENT};

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

fn client(kind: Kind, collector: &Collector) -> Remote {
    let settings = Settings {
        max_queue_size: QUEUE,
        request_timeout: SECOND,
        max_retries: 10,
        submit_interval: SECOND,
        ..Settings::new(kind, collector.url())
    };
    Remote::start(CLIENT, &settings)
}

/// Flushes and stops: all events are delivered, and each was accepted once. Returns the last report
/// and the number of duplicates.
fn finish(client: &mut Remote, collector: Collector, accepted: &Mutex<Accepted>) -> (Report, u64) {
    let flushed = client.order(Order::Flush(4 * AMPLE));
    assert!(flushed.is_done, "{flushed:?}");
    let report = client.order(Order::Stop);
    assert!(report.is_balanced, "{report:?}");
    assert_eq!((report.rejected, report.pending, report.panics), (0, 0, 0), "{report:?}");
    assert_eq!(report.delivered + report.evicted, report.tracked);
    let totals = collector.stop();
    let accepted = accepted.lock().expect("not poisoned");
    assert_eq!((totals.accepted, totals.duplicates), (accepted.distinct, accepted.repeated));
    assert_eq!(totals.rejected, 0);
    // Missing events were evicted; an event evicted after an ambiguous answer may be there.
    let has = |number| accepted.bits.get(number as usize).is_some_and(|it| *it);
    let missing = (1..=report.tracked).filter(|&number| !has(number)).count() as u64;
    assert_eq!(accepted.distinct + missing, report.tracked, "ids that were never tracked");
    assert!(missing <= report.evicted, "{missing} are missing, {report:?}");
    (report, accepted.repeated)
}

#[test]
fn every_event_arrives_exactly_once_from_a_server_that_fails_at_random() {
    for kind in Kind::ALL {
        let (collector, accepted) = failing(20.0);
        let mut client = client(kind, &collector);
        client.order(Order::Track(10_000));
        let (report, duplicates) = finish(&mut client, collector, &accepted);
        assert_eq!(report.evicted, 0);
        let failures = &report.failures;
        assert!(
            ["429", "503", "network"].iter().all(|it| failures.contains_key(*it)),
            "{report:?}"
        );
        assert!(duplicates > 0, "{report:?}");
    }
}

/// Only among the long tests.
#[test]
fn memory_is_flat_under_load() {
    if !long_tests() {
        return;
    }
    let seconds = env::var(SECONDS).ok().map_or(600, |it| it.parse().expect("seconds"));
    let (collector, accepted) = failing(1.0);
    let mut client = client(Kind::Blocking, &collector);
    // An outage fills the queue first, so that no later one needs more memory.
    collector.script([ResponseTemplate::status(429).header("retry-after", "2")]);
    client.order(Order::Track(100));
    assert!(collector.wait_for(AMPLE, |totals| totals.requests > 0));
    client.order(Order::Track(QUEUE as u64));
    let (mut resident, mut took) = (Vec::new(), Duration::ZERO);
    for _ in 0..seconds {
        took += client.order(Order::Pace(PER_SECOND, SECOND)).took;
        resident.extend(client.sizes().map(|sizes| sizes.resident));
    }
    let (report, _) = finish(&mut client, collector, &accepted);
    let rate = (report.tracked - QUEUE as u64 - 100) as f64 / took.as_secs_f64();
    assert!(rate > 0.95 * PER_SECOND as f64, "{rate:.0} events a second");
    assert!(report.evicted * 100 <= report.tracked, "{report:?}");
    let after = resident.get(WARM_UP..).unwrap_or_default();
    let (Some(least), Some(most)) = (after.iter().min(), after.iter().max()) else {
        panic!("{SECONDS}: expected more than {WARM_UP}, and /proc")
    };
    assert!(most - least < FLAT, "KiB each second: {resident:?}");
}

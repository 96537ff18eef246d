//! A client under load for as long as one likes, with a server that fails at random.

use std::{
    env, fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use telemetry_collector::{Answer, BatchSeen, Collector, EVENTS_PATH, Fault, Place};
use telemetry_tests::{Kind, Order, Remote, Report, Settings, Sizes, evidence};

use crate::{blocking::AMPLE, child::CLIENT};

/// How many seconds to go on, if not ten minutes.
const SECONDS: &str = "TELEMETRY_SOAK_SECONDS";

const PER_SECOND: u64 = 10_000;

/// Nothing is evicted unless the machine stands still for five seconds.
const PLACES: usize = 50_000;

/// Until then, memory may grow: buffers and the queue find their size.
const WARM_UP: usize = 60;

/// How much memory may rise and fall from then on, in KiB.
const FLAT: u64 = 8 * 1024;

const SECOND: Duration = Duration::from_secs(1);

/// Which events have been taken, and how often one was that had been.
#[derive(Debug, Default)]
struct Taken {
    bits: Vec<u64>,
    distinct: u64,
    repeated: u64,
}

impl Taken {
    fn batch(&mut self, seen: &BatchSeen) {
        let before = (self.distinct, self.repeated);
        for id in seen.receipt.results.iter().filter_map(|result| result.event_id) {
            let number = usize::try_from(id.as_u128()).expect("ids are numbers");
            let (word, bit) = (number / 64, 1 << (number % 64));
            if self.bits.len() <= word {
                self.bits.resize(word + 1, 0);
            }
            let was_taken = self.bits[word] & bit != 0;
            self.bits[word] |= bit;
            *(if was_taken { &mut self.repeated } else { &mut self.distinct }) += 1;
        }
        // The collector's own books are kept in another way.
        let own = (self.distinct - before.0, self.repeated - before.1);
        assert_eq!(own, (seen.accepted, seen.duplicates), "{seen}");
    }

    fn has(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.bits.get(word));
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

fn busy(seconds: &str) -> Answer {
    Answer::status(429).header("retry-after", seconds)
}

/// A server that fails at random, this many times as often as in a soak; where that takes a second,
/// less often.
fn failing(often: f64, seed: u64) -> (Collector, Arc<Mutex<Taken>>) {
    let taken = Arc::<Mutex<Taken>>::default();
    let hook = Arc::clone(&taken);
    // It remembers ids for longer than any event is tried.
    let collector = Collector::builder().max_events(200_000).on_batch(move |seen| {
        hook.lock().expect("the books agree").batch(seen);
    });
    let collector = collector.start().expect("loopback can be bound");
    let rare = 0.0003 / often.sqrt();
    for (probability, answer) in [
        (0.01, Answer::status(503)),
        (0.005, busy("0")),
        (rare, busy("1")),
        (0.01, Answer::close()),
        (0.01, Answer::close_after_taking()),
        (0.005, Answer::normal().cut(Place::InBody)),
        (0.005, Answer::normal().cut(Place::InHead)),
        (0.01, Answer::normal().delay(Duration::from_millis(30))),
        // Later than the client waits.
        (rare, Answer::normal().delay(3 * SECOND)),
        (rare, Answer::never()),
    ] {
        let fault = Fault::new(answer).path(EVENTS_PATH);
        collector.fault(fault.probability((probability * often).min(0.1)).seed(seed));
    }
    collector.fault(Fault::close_before_reading().probability(0.2).seed(seed));
    (collector, taken)
}

fn settings(kind: Kind, collector: &Collector) -> Settings {
    Settings {
        places: PLACES,
        request_timeout: SECOND,
        max_retries: 10,
        submit_interval: SECOND,
        ..Settings::new(kind, collector.url())
    }
}

/// The last of it: everything is delivered, and each event was taken once.
fn check(kind: Kind, client: &mut Remote, collector: Collector, taken: &Mutex<Taken>) -> Outcome {
    let flushed = client.order(Order::Flush(4 * AMPLE));
    assert!(flushed.is_done, "{kind:?}: {flushed:?}");
    let report = client.order(Order::Stop);
    assert!(report.is_balanced, "{report:?}");
    assert_eq!((report.rejected, report.pending, report.panics), (0, 0, 0), "{report:?}");
    assert_eq!(report.delivered + report.evicted, report.tracked);
    let totals = collector.stop();
    let taken = taken.lock().expect("the books agree");
    assert_eq!((totals.accepted, totals.duplicates), (taken.distinct, taken.repeated));
    assert_eq!(totals.rejected, 0);
    // What is missing made room; what made room after an ambiguous answer may have been taken.
    let missing = (1..=report.tracked).filter(|&number| !taken.has(number)).count() as u64;
    assert_eq!(taken.distinct + missing, report.tracked, "ids of nobody");
    assert!(missing <= report.evicted, "{missing} are missing, {report:?}");
    let (taken, duplicates) = (taken.distinct, taken.repeated);
    Outcome { kind, report, requests: totals.requests, taken, duplicates }
}

struct Outcome {
    kind: Kind,
    report: Report,
    requests: u64,
    taken: u64,
    duplicates: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, report, requests, taken, duplicates } = self;
        let Report { tracked, evicted, failures, .. } = report;
        let failed = |(how, times): (&String, &u64)| format!("{times} {how}");
        let failures: Vec<_> = failures.iter().map(failed).collect();
        write!(
            f,
            "{kind:?}: {tracked} events, {taken} taken, each exactly once by its id, {evicted} \
             evicted; {requests} requests, failures: {}; {duplicates} duplicates recognized",
            failures.join(", "),
        )
    }
}

#[test]
fn every_event_arrives_exactly_once_from_a_server_that_fails_at_random() {
    for kind in Kind::ALL {
        let (collector, taken) = failing(20.0, 7);
        let mut client = Remote::start(CLIENT, &settings(kind, &collector));
        client.order(Order::Track(10_000));
        let outcome = check(kind, &mut client, collector, &taken);
        assert_eq!(outcome.report.evicted, 0);
        let failures = &outcome.report.failures;
        for how in ["429", "503", "network"] {
            assert!(failures.contains_key(how), "{failures:?}");
        }
        assert!(outcome.duplicates > 0, "{failures:?}");
    }
}

#[test]
fn memory_is_flat_under_load() {
    if !evidence::is_wanted() {
        return;
    }
    let seconds = env::var(SECONDS).ok().map_or(600, |it| it.parse().expect("seconds"));
    let kind = Kind::Blocking;
    let (collector, taken) = failing(1.0, 7);
    let mut client = Remote::start(CLIENT, &settings(kind, &collector));
    // At first, an outage that fills the queue: no later one can need more memory.
    collector.script([busy("2")]);
    client.order(Order::Track(100));
    assert!(collector.wait_for(AMPLE, |totals| totals.requests > 0));
    client.order(Order::Track(PLACES as u64));
    let mut sizes = Vec::new();
    let mut took = Duration::ZERO;
    for _ in 0..seconds {
        let report = client.order(Order::Pace(PER_SECOND, SECOND));
        took += report.took;
        sizes.extend(Sizes::of(client.id()));
    }
    let processor = sizes.last().map(|last| last.processor);
    let outcome = check(kind, &mut client, collector, &taken);
    let paced = outcome.report.tracked - PLACES as u64 - 100;
    let rate = paced as f64 / took.as_secs_f64();
    assert!(rate > 0.95 * PER_SECOND as f64, "{rate:.0} events a second");
    assert!(outcome.report.evicted * 100 <= outcome.report.tracked, "{outcome}");
    let resident = || sizes.iter().map(|sizes| sizes.resident);
    let after = || resident().skip(WARM_UP);
    let (Some(least), Some(most)) = (after().min(), after().max()) else {
        panic!("{SECONDS}: expected more than {WARM_UP}, and /proc")
    };
    let memory = format!("RSS {least} to {most} KiB after the first minute");
    let each_second = || resident().collect::<Vec<_>>();
    assert!(most - least < FLAT, "{memory}; each second: {:?}", each_second());
    let processor = processor.map_or(0.0, |it| it.as_secs_f64() / took.as_secs_f64());
    let (took, processor) = (took.as_secs_f64(), 100.0 * processor);
    evidence::tried(
        "R2",
        format_args!(
            "{took:.0} s of {rate:.0} events a second, a server that fails at random: {memory}, \
             {processor:.0} % of a core"
        ),
    );
    evidence::tried("R7", format_args!("{outcome}"));
}

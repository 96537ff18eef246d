//! What a server answers to batches of events.

use std::time::Duration;

use mosaicstack_telemetry::{Delivery, DeliveryOutcome, Response, Stats, TransportError};
use uuid::Uuid;

use super::{answer, effort, secret};
use crate::{Log, Next, Simulation, config};

/// How many events there are to deliver.
const EVENTS: u64 = 5;

/// The most answers that are read of an input; then all is well.
const MAX_ANSWERS: usize = 12;

/// The longest that the server can ask for.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// More steps than it takes, whatever is answered.
const MAX_STEPS: usize = 200;

/// The longest line of the log, and how many a request may cause.
const MAX_LINE: usize = 600;
const MAX_LINES: usize = 10;

/// Events are sent, and these are the answers.
pub(super) fn check(input: &[u8]) {
    let log = Log::new();
    let config = config("https://example.com").build().expect("a configuration");
    let mut simulation = Simulation::new(&config);
    for id in 1..=EVENTS {
        let mut event = simulation.handle.event().build();
        event.event_id = Uuid::from_u128(id.into());
        simulation.handle.track(event);
    }
    simulation.submitter.flush(simulation.instant());
    let mut answers = answer::all(input).take(MAX_ANSWERS);
    // No request may be sent before.
    let mut gate = Duration::ZERO;
    for _ in 0..MAX_STEPS {
        match simulation.step() {
            Next::Sent(delivery) => {
                assert!(simulation.now() >= gate, "sent at {:?}, not {gate:?}", simulation.now());
                let answer = answers.next().unwrap_or_else(|| Ok(Response::default()));
                gate = simulation.now() + complete(&mut simulation, delivery, answer);
            }
            Next::Waits(until) if simulation.handle.stats().pending > 0 => {
                let wait = until.saturating_sub(simulation.now());
                assert!(!wait.is_zero() && wait <= LONGEST + LONGEST / 10, "{wait:?}");
                simulation.advance(wait);
            }
            Next::Waits(_) | Next::Done => break,
        }
    }
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered + stats.rejected, stats.pending), (EVENTS, 0), "{stats}");
    assert_eq!(stats.requests, simulation.sent.len() as u64);
    check_log(&log.lines(""), simulation.sent.len());
}

/// Books an answer, and returns for how long nothing may be sent.
fn complete(
    simulation: &mut Simulation,
    delivery: Delivery,
    answer: Result<Response, TransportError>,
) -> Duration {
    let (sent, before) = (delivery.len() as u64, simulation.handle.stats());
    let length = answer.as_ref().map_or(0, |answer| answer.body().len());
    let verdict = effort::in_proportion(length, 1, || simulation.complete(delivery, answer));
    let after = simulation.handle.stats();
    assert!(after.is_balanced(), "{after:?}");
    let settled = |stats: Stats| stats.delivered + stats.rejected;
    match verdict {
        DeliveryOutcome::Accepted => assert_eq!(settled(after), settled(before) + sent),
        DeliveryOutcome::BatchRejected if sent == 1 => {
            assert_eq!(after.rejected, before.rejected + 1)
        }
        _ => assert_eq!(settled(after), settled(before)),
    }
    match verdict {
        DeliveryOutcome::Retry { retry_after: Some(wait) } => wait.min(LONGEST),
        _ => Duration::ZERO,
    }
}

fn check_log(lines: &[String], requests: usize) {
    assert!(lines.len() <= MAX_LINES * requests, "{} lines", lines.len());
    for line in lines {
        assert!(line.chars().count() <= MAX_LINE, "{line}");
        secret::check(line);
    }
}

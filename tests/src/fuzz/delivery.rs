//! Answers to batches of events.

use std::time::Duration;

use mosaicstack_telemetry::{
    Stats,
    sans_io::{Delivery, DeliveryOutcome},
    transport::{Response, TransportError},
};
use uuid::Uuid;

use super::{LONGEST, answer, assert_no_key, in_proportion, with_key};
use crate::{Log, Next, Simulation, config};

/// Events to deliver.
const EVENTS: u64 = 5;

/// Answers of the input that are given; later requests succeed.
const MAX_ANSWERS: usize = 12;

/// Upper bound of the steps.
const MAX_STEPS: usize = 200;

/// Longest line of the log.
const MAX_LINE: usize = 600;

/// Most lines for each request.
const MAX_LINES: usize = 10;

/// The input is the answers to batches.
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
    let text = with_key(input);
    let mut answers = answer::all(&text).take(MAX_ANSWERS);
    let (mut not_before, mut has_accepted) = (Duration::ZERO, false);
    for _ in 0..MAX_STEPS {
        let delivered = simulation.handle.stats().delivered;
        match simulation.step() {
            Next::Sent(delivery) => {
                let now = simulation.now();
                assert!(now >= not_before, "sent at {now:?}, not {not_before:?}");
                let answer = answers.next().unwrap_or_else(|| Ok(Response::default()));
                not_before = now + complete(&mut simulation, &mut has_accepted, delivery, answer);
            }
            Next::Waits(until) if simulation.handle.stats().pending > 0 => {
                let wait = until.saturating_sub(simulation.now());
                // Polled again at once after an event that was accepted out of turn.
                let may_be_zero = simulation.handle.stats().delivered > delivered;
                assert!(!wait.is_zero() || may_be_zero, "a busy loop");
                assert!(wait <= LONGEST + LONGEST / 10, "{wait:?}");
                simulation.advance(wait);
            }
            Next::Waits(_) | Next::Done => break,
        }
    }
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered + stats.rejected, stats.pending), (EVENTS, 0), "{stats}");
    assert_eq!(stats.requests, simulation.sent.len() as u64);
    let lines = log.lines("");
    assert!(lines.len() <= MAX_LINES * simulation.sent.len(), "{} lines", lines.len());
    for line in lines {
        assert!(line.chars().count() <= MAX_LINE, "{line}");
        assert_no_key(&line);
    }
}

/// Completes a delivery; returns the time for which no request may be sent.
fn complete(
    simulation: &mut Simulation,
    has_accepted: &mut bool,
    delivery: Delivery,
    answer: Result<Response, TransportError>,
) -> Duration {
    let (sent, before) = (delivery.len() as u64, simulation.handle.stats());
    let length = answer.as_ref().map_or(0, |answer| answer.body().len());
    let outcome = in_proportion(length, 1, || simulation.complete(delivery, answer));
    let after = simulation.handle.stats();
    assert!(after.is_balanced(), "{after:?}");
    let left = |stats: Stats| stats.delivered + stats.rejected;
    match (outcome, left(after) - left(before)) {
        // An event sent before older ones leaves the queue after them.
        (DeliveryOutcome::Accepted, left) => assert!(left == sent || (left, sent) == (0, 1)),
        // Only if another event was accepted.
        (DeliveryOutcome::BatchRejected, 1) => {
            assert_eq!((sent, after.rejected), (1, before.rejected + 1));
            assert!(*has_accepted, "an event is given up to a server that has accepted none");
        }
        (_, left) => assert_eq!(left, 0),
    }
    *has_accepted |= outcome == DeliveryOutcome::Accepted;
    match outcome {
        DeliveryOutcome::Retry { retry_after: Some(wait) } => wait.min(LONGEST),
        _ => Duration::ZERO,
    }
}

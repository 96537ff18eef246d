//! What a batch of 100 real events costs to encode, and how long it becomes.
//!
//! The SDK encodes where nobody else gets at it: when its submitter is polled and has something to
//! send. So that whole call is timed: taking the events out of the queue, the body, the request.

mod minimum;

use std::time::{Instant, SystemTime};

use mosaicstack_telemetry::{
    Action, Response, Start, Submitter, TaskCompletionEvent, TelemetryConfig, TelemetryHandle,
};

use self::minimum::Keys;
use crate::{
    Failure,
    carriers::BATCH,
    events::{INSTANCE, Runs, encoded},
    figure::{Figure, median},
};

const ROUNDS: usize = 15;

/// How often each of the batches is encoded in a round.
const REPETITIONS: usize = 40;

const OURS: &str = "mosaicstack-telemetry";
const FLOOR: &str = "floor: serde_json::to_vec";
const CONTRACT: &str = "floor: the shortest with every key";
const MINIMUM: &str = "floor: the schema's minimum";

/// Measures both.
///
/// # Errors
///
/// The SDK sends something else than what it was given.
pub fn measure() -> Result<Vec<Figure>, Failure> {
    let runs = Runs::read()?;
    let batch = |first: usize| runs.events(first..first + BATCH).collect();
    let batches: Vec<Vec<TaskCompletionEvent>> = (0..800).step_by(BATCH).map(batch).collect();
    let mut ours = Ours::new()?;
    let (mut our_times, mut floor_times) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (mut ours_now, mut floor_now) = (Vec::new(), Vec::new());
        for repetition in 0..REPETITIONS {
            for batch in &batches {
                // Each goes first as often as the other.
                if (round + repetition).is_multiple_of(2) {
                    ours_now.push(ours.encode(batch)?.0);
                    floor_now.push(floor(batch)?.0);
                } else {
                    floor_now.push(floor(batch)?.0);
                    ours_now.push(ours.encode(batch)?.0);
                }
            }
        }
        our_times.push(median(&ours_now));
        floor_times.push(median(&floor_now));
    }
    let (mut our_bytes, mut floor_bytes) = (0, 0);
    let (mut contract_bytes, mut least_bytes) = (0, 0);
    for batch in &batches {
        let (ours, floor) = (ours.encode(batch)?.1, floor(batch)?.1);
        if ours != floor {
            return Err("the SDK's body is not that of serde_json::to_vec".into());
        }
        our_bytes += ours.len();
        floor_bytes += floor.len();
        contract_bytes += minimum::body(batch, Keys::All)?.len();
        least_bytes += minimum::body(batch, Keys::Required)?.len();
    }
    let per_event = |bytes: usize| vec![bytes as f64 / (batches.len() * BATCH) as f64; ROUNDS];
    Ok(vec![
        figure(OURS, "time", "ns per event", our_times),
        figure(FLOOR, "time", "ns per event", floor_times),
        figure(OURS, "bytes", "per event", per_event(our_bytes)),
        figure(FLOOR, "bytes", "per event", per_event(floor_bytes)),
        figure(CONTRACT, "bytes", "per event", per_event(contract_bytes)),
        figure(MINIMUM, "bytes", "per event", per_event(least_bytes)),
    ])
}

fn figure(subject: &str, metric: &str, unit: &str, rounds: Vec<f64>) -> Figure {
    Figure::new("encoding", "a batch of 100", subject, metric, unit, rounds)
}

/// The SDK without any transport.
struct Ours {
    handle: TelemetryHandle,
    submitter: Submitter,
    now: Instant,
}

impl Ours {
    fn new() -> Result<Self, Failure> {
        let config = TelemetryConfig::builder()
            .server_url("http://127.0.0.1:1")
            .api_key("a".repeat(64))
            .instance_id(INSTANCE)
            .build()?;
        let now = Instant::now();
        let start = Start { now, wall: SystemTime::now(), seed: 7 };
        let (handle, submitter) = TelemetryHandle::with_submitter(&config, start, || {});
        Ok(Self { handle, submitter, now })
    }

    /// Returns the nanoseconds for each event, and the body.
    fn encode(&mut self, batch: &[TaskCompletionEvent]) -> Result<(f64, Vec<u8>), Failure> {
        batch.iter().for_each(|event| self.handle.track(event.clone()));
        let from = Instant::now();
        let action = self.submitter.poll(self.now);
        let time = from.elapsed();
        let Action::Send(request, delivery) = action else {
            return Err(format!("the SDK does not send a full batch: {action:?}").into());
        };
        self.submitter.complete(self.now, delivery, Ok(Response::default()));
        Ok((time.as_nanos() as f64 / batch.len() as f64, request.into_body()))
    }
}

/// The same without anything else.
fn floor(events: &[TaskCompletionEvent]) -> Result<(f64, Vec<u8>), Failure> {
    let from = Instant::now();
    let body = encoded(events)?;
    let time = from.elapsed();
    Ok((time.as_nanos() as f64 / events.len() as f64, body))
}

//! Section `encoding`: the time to encode a batch of 100 events, and the size of its body.
//!
//! The SDK encodes when its submitter is polled. That whole call is timed: taking the events from the
//! queue, the body, the request.

use std::time::{Instant, SystemTime};

use mosaicstack_telemetry::{
    TaskCompletionEvent, TelemetryConfig, TelemetryHandle,
    sans_io::{Action, Start, Submitter},
    transport::Response,
};
use serde_json::{Value, json};

use crate::{
    Result,
    clients::BATCH,
    events::{INSTANCE, Runs, to_json},
    figures::{Figures, median},
};

const CASE: &str = "a batch of 100";
const SDK: &str = "mosaicstack-telemetry";
const SERDE: &str = "baseline: serde_json::to_vec";
const EVERY_KEY: &str = "baseline: the shortest with every key";
const MINIMUM: &str = "baseline: the schema's minimum";

const ROUNDS: usize = 15;

/// The number of times that each batch is encoded in a round.
const REPETITIONS: usize = 40;

pub(crate) fn measure() -> Result<Figures> {
    let runs = Runs::read()?;
    let batch = |first: usize| runs.events(first..first + BATCH).collect();
    let batches: Vec<Vec<TaskCompletionEvent>> = (0..800).step_by(BATCH).map(batch).collect();
    let (mut sdk, mut figures) = (Sdk::new()?, Figures::default());
    for round in 0..ROUNDS {
        let (mut sdk_times, mut serde_times) = (Vec::new(), Vec::new());
        for repetition in 0..REPETITIONS {
            for batch in &batches {
                // Each is first equally often.
                if (round + repetition).is_multiple_of(2) {
                    sdk_times.push(sdk.encode(batch)?.0);
                    serde_times.push(encode_with_serde(batch)?.0);
                } else {
                    serde_times.push(encode_with_serde(batch)?.0);
                    sdk_times.push(sdk.encode(batch)?.0);
                }
            }
        }
        figures.add(CASE, SDK, "time, ns per event", median(&sdk_times));
        figures.add(CASE, SERDE, "time, ns per event", median(&serde_times));
    }
    let mut bytes = [0; 4];
    for batch in &batches {
        let (sdk, serde) = (sdk.encode(batch)?.1, encode_with_serde(batch)?.1);
        if sdk != serde {
            return Err("the SDK's body differs from that of serde_json::to_vec".into());
        }
        let shortest = [true, false].map(|all_keys| shortest(batch, all_keys));
        let lengths = [sdk.len(), serde.len(), shortest[0], shortest[1]];
        bytes.iter_mut().zip(lengths).for_each(|(sum, length)| *sum += length);
    }
    for (contender, bytes) in [SDK, SERDE, EVERY_KEY, MINIMUM].into_iter().zip(bytes) {
        let per_event = bytes as f64 / (batches.len() * BATCH) as f64;
        figures.add(CASE, contender, "bytes per event", per_event);
    }
    Ok(figures)
}

/// The SDK without a transport.
struct Sdk {
    handle: TelemetryHandle,
    submitter: Submitter,
    now: Instant,
}

impl Sdk {
    fn new() -> Result<Self> {
        let config = TelemetryConfig::builder()
            .server_url("http://127.0.0.1:1")
            .api_key("a".repeat(64))
            .instance_id(INSTANCE)
            .build()?;
        let now = Instant::now();
        let start = Start { now, seed: 7 };
        let (submitter, handle) = Submitter::new(&config, start, || {});
        Ok(Self { handle, submitter, now })
    }

    /// Returns the nanoseconds for each event, and the body.
    fn encode(&mut self, batch: &[TaskCompletionEvent]) -> Result<(f64, Vec<u8>)> {
        batch.iter().for_each(|event| self.handle.track(event.clone()));
        let from = Instant::now();
        let action = self.submitter.poll(self.now);
        let time = from.elapsed();
        let Action::Send(request, delivery) = action else {
            return Err(format!("the SDK does not send a full batch: {action:?}").into());
        };
        self.submitter.complete(
            self.now,
            SystemTime::UNIX_EPOCH,
            delivery,
            Ok(Response::default()),
        );
        Ok((time.as_nanos() as f64 / batch.len() as f64, request.into_body().into()))
    }
}

/// Like [`Sdk::encode`].
fn encode_with_serde(events: &[TaskCompletionEvent]) -> Result<(f64, Vec<u8>)> {
    let from = Instant::now();
    let body = to_json(events)?;
    let time = from.elapsed();
    Ok((time.as_nanos() as f64 / events.len() as f64, body))
}

/// Keys that the schema does not require. The wire contract does, and the Python SDK writes them.
const OPTIONAL: [&str; 3] = ["language", "repo_size_category", "retry_count"];

/// The bytes of the shortest body: no white space, numbers in their shortest spelling (`2e6`, `0`),
/// times without trailing zeros, and, unless `all_keys` is set, no optional key with the default value.
fn shortest(events: &[TaskCompletionEvent], all_keys: bool) -> usize {
    length("", &json!({ "events": events }), all_keys)
}

fn length(key: &str, value: &Value, all_keys: bool) -> usize {
    let is_written = |(key, value): &(&String, &Value)| {
        all_keys || !OPTIONAL.contains(&&***key) || !(value.is_null() || **value == 0)
    };
    // Brackets and commas.
    let around = |count: usize| 2 + count.saturating_sub(1);
    match value {
        Value::Array(items) => {
            around(items.len()) + items.iter().map(|it| length("", it, all_keys)).sum::<usize>()
        }
        Value::Object(fields) => {
            let written = fields.iter().filter(is_written);
            let lengths = written.map(|(key, it)| key.len() + 3 + length(key, it, all_keys));
            let lengths: Vec<_> = lengths.collect();
            around(lengths.len()) + lengths.iter().sum::<usize>()
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let plain = number.to_string();
            let digits = plain.trim_end_matches('0').len();
            // Such as `123e4`.
            let short = digits + 1 + (plain.len() - digits).to_string().len();
            plain.len().min(short).min(format!("{number:e}").len())
        }
        Value::String(time) if key == "timestamp" => {
            time.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.').len() + 3
        }
        other => other.to_string().len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_body_has_short_numbers_and_times() {
        let value = json!([{ "a": 7_000_000, "retry_count": 0, "timestamp": "01:00.120Z" }, 0.003]);
        assert_eq!(
            length("", &value, true),
            "[{\"a\":7e6,\"retry_count\":0,\"timestamp\":\"01:00.12Z\"},3e-3]".len()
        );
        assert_eq!(
            length("", &value, false),
            "[{\"a\":7e6,\"timestamp\":\"01:00.12Z\"},3e-3]".len()
        );
    }
}

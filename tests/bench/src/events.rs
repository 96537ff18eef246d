//! The reported data: real agent runs as events of the SDK, and as fields for SDKs without a schema.

#[path = "../../../crates/mosaicstack-telemetry/examples/tour/runs.rs"]
mod runs;

use std::{fmt::Write, time::Duration};

use crate::Result;

use mosaicstack_telemetry::{EventBuilder, TaskCompletionEvent, time::OffsetDateTime};
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use self::runs::Run;

const RUNS: &str =
    include_str!("../../../crates/mosaicstack-telemetry/examples/data/swe-bench-pro-runs.jsonl");

/// The instance that reports all events.
pub(crate) const INSTANCE: Uuid = Uuid::from_u128(0xa1b2_c3d4_e5f6_4a7b_8c9d_0e1f_2a3b_4c5d);

/// The time of the first event, in milliseconds: 2026-02-15T05:29:05.123Z.
const FIRST_MS: i128 = 1_771_133_345_123;

/// The time between two events.
const STEP: Duration = Duration::from_millis(7_919);

/// Fields that all events of a client have in common.
const IDENTITY: &str = "instance_id schema_version";

/// The other fields, separated by spaces; without an event's id and time, which each SDK keeps in its
/// own way.
const FIELDS: &str = "task_duration_ms task_type complexity harness model provider \
     estimated_input_tokens estimated_output_tokens actual_input_tokens actual_output_tokens \
     estimated_cost_usd_micros actual_cost_usd_micros quality_gate_passed quality_gates_run \
     quality_gates_failed context_compactions context_rotations context_utilization_final outcome \
     retry_count language repo_size_category";

/// Names and values of fields.
pub(crate) type Fields = Vec<(&'static str, Value)>;

/// The 800 runs of the repository's example data.
#[derive(Debug)]
pub(crate) struct Runs(Vec<Run>);

impl Runs {
    pub(crate) fn read() -> Result<Self> {
        match runs::parse(RUNS) {
            (runs, faults) if faults.is_empty() => Ok(Self(runs)),
            (_, faults) => Err(format!("invalid example data: {}", faults.join("; ")).into()),
        }
    }

    /// The events with these numbers; the runs repeat, with other ids and times.
    pub(crate) fn events(
        &self,
        numbers: impl IntoIterator<Item = usize>,
    ) -> impl Iterator<Item = TaskCompletionEvent> {
        let first = OffsetDateTime::from_unix_timestamp_nanos(FIRST_MS * 1_000_000);
        let first = first.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        numbers.into_iter().map(move |number| {
            let at = first + STEP * u32::try_from(number).unwrap_or(u32::MAX);
            self.0[number % self.0.len()].event(EventBuilder::new(INSTANCE).timestamp(at))
        })
    }
}

/// A batch as written by `serde_json`.
pub(crate) fn to_json(events: &[TaskCompletionEvent]) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a> {
        events: &'a [TaskCompletionEvent],
    }
    serde_json::to_vec(&Body { events })
}

/// The [`IDENTITY`] of an event and its [`FIELDS`], without those that are unset.
pub(crate) fn fields(event: &TaskCompletionEvent) -> serde_json::Result<(Fields, Fields)> {
    let mut json = serde_json::to_value(event)?;
    let mut take = |names: &'static str| -> Fields {
        let values = names.split(' ').map(|name| (name, json[name].take()));
        values.filter(|(_, value)| !value.is_null()).collect()
    };
    Ok((take(IDENTITY), take(FIELDS)))
}

/// The same value, but a list as one text.
pub(crate) fn flat(value: Value) -> Value {
    let Value::Array(words) = value else { return value };
    let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
    Value::String(words.join(","))
}

/// A run in the forms in which the contenders of `hand-over` take it.
#[derive(Debug)]
pub(crate) struct Sample {
    run: Run,
    /// The 18 values that an agent knows about its task: no ids, version and time, for which the peers
    /// have their own, and no estimates and size of the repository, which the data lacks. A list is
    /// one text, which costs the peers less.
    pub(crate) fields: Fields,
    /// The fields as a line of JSON.
    pub(crate) line: String,
    /// The fields as a timer of statsd with tags.
    pub(crate) metric: String,
}

/// A sample of each run, for the lifetime of the program.
pub(crate) fn samples() -> Result<&'static [Sample]> {
    let mut samples = Vec::new();
    for run in Runs::read()?.0 {
        let (_, fields) = fields(&run.event(EventBuilder::new(INSTANCE)))
            .map_err(|error| format!("cannot read an event: {error}"))?;
        let known = fields.into_iter().filter(|(name, _)| !name.starts_with("estimated_"));
        let fields = known.map(|(name, value)| (name, flat(value))).collect();
        let mut sample = Sample { run, fields, line: String::new(), metric: String::new() };
        let (mut line, mut metric) = (Vec::new(), String::new());
        sample.write_line(&mut line);
        sample.write_metric(&mut metric);
        (sample.line, sample.metric) = (String::from_utf8_lossy(&line).into_owned(), metric);
        samples.push(sample);
    }
    Ok(samples.leak())
}

impl Sample {
    /// Makes an event of the SDK.
    pub(crate) fn event(&self, builder: EventBuilder) -> TaskCompletionEvent {
        self.run.event(builder)
    }

    /// Replaces the text in `line` by the fields as JSON.
    pub(crate) fn write_line(&self, line: &mut Vec<u8>) {
        line.clear();
        let fields = self.fields.iter().map(|(name, value)| (name, value));
        let mut serializer = serde_json::Serializer::new(&mut *line);
        serializer.collect_map(fields).expect("writing to a vector cannot fail");
        line.push(b'\n');
    }

    /// Replaces the text in `metric` by the fields as a timer with tags.
    pub(crate) fn write_metric(&self, metric: &mut String) {
        metric.clear();
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let _ = match (index, value) {
                // The first field is the duration.
                (0, value) => write!(metric, "task:{value}|ms|#"),
                (_, Value::String(text)) => write!(metric, "{name}:{text},"),
                (_, value) => write!(metric, "{name}:{value},"),
            };
        }
        metric.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_get_every_field_of_the_schema() {
        let event = Runs::read().unwrap().events([1]).next().unwrap();
        let json = serde_json::to_value(&event).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let names = FIELDS.split(' ').chain(IDENTITY.split(' ')).chain(["event_id", "timestamp"]);
        let mut known: Vec<_> = names.collect();
        known.sort_unstable();
        assert_eq!(known, keys);
        assert_eq!(json["timestamp"], "2026-02-15T05:29:13.042Z");
        assert_eq!(event.validate(), Ok(()));
    }

    #[test]
    fn sample_has_18_fields_in_each_form() {
        let samples = samples().unwrap();
        assert_eq!(samples.len(), 800);
        for sample in samples {
            let line: Value = serde_json::from_str(&sample.line).unwrap();
            assert_eq!([sample.fields.len(), line.as_object().unwrap().len()], [18, 18]);
            assert_eq!(line["model"], sample.run.model);
            assert_eq!(sample.metric.matches(',').count(), 16, "{}", sample.metric);
        }
    }
}

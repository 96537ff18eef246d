//! What is reported: real runs, as events of the schema and as the fields that peers take.

#[path = "../../../crates/mosaicstack-telemetry/examples/tour/runs.rs"]
mod runs;

use std::time::Duration;

use mosaicstack_telemetry::{
    EventBuilder, QualityGate, TaskCompletionEvent, reexport::time::OffsetDateTime,
};
use serde::Serialize;
use uuid::Uuid;

pub(crate) use self::runs::Run;
use crate::Failure;

/// The repository's own copy of 800 runs; what they are stands beside it.
const RUNS: &str =
    include_str!("../../../crates/mosaicstack-telemetry/examples/data/swe-bench-pro-runs.jsonl");

/// Who reports.
pub const INSTANCE: Uuid = Uuid::from_u128(0xa1b2_c3d4_e5f6_4a7b_8c9d_0e1f_2a3b_4c5d);

/// 2026-02-15T05:29:05.123Z, in seconds and nanoseconds.
const FIRST: (i64, Duration) = (1_771_133_345, Duration::from_millis(123));

/// Between the ends of two tasks.
const APART: Duration = Duration::from_millis(7_919);

/// Real runs of coding agents.
#[derive(Debug)]
pub struct Runs(Vec<Run>);

/// Reads the runs one by one.
pub(crate) fn read() -> Result<Vec<Run>, String> {
    let (runs, faults) = runs::parse(RUNS);
    match faults.first() {
        Some(fault) => Err(format!("the runs cannot be read: {fault}")),
        None => Ok(runs),
    }
}

/// A batch as `serde_json` writes it.
pub(crate) fn encoded(events: &[TaskCompletionEvent]) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a> {
        events: &'a [TaskCompletionEvent],
    }
    serde_json::to_vec(&Body { events })
}

impl Runs {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// The data cannot be read.
    pub fn read() -> Result<Self, Failure> {
        Ok(Self(read()?))
    }

    /// The event with that number; the runs come again and again, with other ids and times.
    #[must_use]
    pub fn event(&self, number: usize) -> TaskCompletionEvent {
        let run = &self.0[number % self.0.len()];
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let first = OffsetDateTime::from_unix_timestamp(FIRST.0);
        let at = first.unwrap_or(OffsetDateTime::UNIX_EPOCH) + FIRST.1 + APART * number;
        run.event(EventBuilder::new(INSTANCE).timestamp(at))
    }

    /// The events with these numbers.
    pub fn events(
        &self,
        numbers: impl IntoIterator<Item = usize>,
    ) -> impl Iterator<Item = TaskCompletionEvent> {
        numbers.into_iter().map(|number| self.event(number))
    }
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, or a word.
    Text(String),
    /// A number of things.
    Count(u64),
    /// 0.0 to 1.0.
    Share(f64),
    /// Yes or no.
    Flag(bool),
    /// Several words.
    Words(Vec<String>),
}

/// What all events of a client have in common.
#[must_use]
pub fn identity(event: &TaskCompletionEvent) -> [(&'static str, String); 2] {
    [
        ("instance_id", event.instance_id.to_string()),
        ("schema_version", event.schema_version.as_str().to_owned()),
    ]
}

/// The fields of an event for SDKs that know no schema: all that are set, but for its [`identity`], its
/// id and its time, which each SDK has in a way of its own.
#[must_use]
pub fn fields(event: &TaskCompletionEvent) -> Vec<(&'static str, Value)> {
    let words = |gates: &[QualityGate]| {
        Value::Words(gates.iter().map(|gate| gate.as_str().to_owned()).collect())
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let mut fields = vec![
        ("task_duration_ms", Value::Count(event.task_duration_ms)),
        ("task_type", text(event.task_type.as_str())),
        ("complexity", text(event.complexity.as_str())),
        ("harness", text(event.harness.as_str())),
        ("model", text(&event.model)),
        ("provider", text(event.provider.as_str())),
        ("estimated_input_tokens", Value::Count(event.estimated_input_tokens)),
        ("estimated_output_tokens", Value::Count(event.estimated_output_tokens)),
        ("actual_input_tokens", Value::Count(event.actual_input_tokens)),
        ("actual_output_tokens", Value::Count(event.actual_output_tokens)),
        ("estimated_cost_usd_micros", Value::Count(event.estimated_cost_usd_micros)),
        ("actual_cost_usd_micros", Value::Count(event.actual_cost_usd_micros)),
        ("quality_gate_passed", Value::Flag(event.quality_gate_passed)),
        ("quality_gates_run", words(&event.quality_gates_run)),
        ("quality_gates_failed", words(&event.quality_gates_failed)),
        ("context_compactions", Value::Count(event.context_compactions)),
        ("context_rotations", Value::Count(event.context_rotations)),
        ("context_utilization_final", Value::Share(event.context_utilization_final)),
        ("outcome", text(event.outcome.as_str())),
        ("retry_count", Value::Count(event.retry_count)),
    ];
    fields.extend(event.language.as_deref().map(|language| ("language", text(language))));
    let size = event.repo_size_category.as_ref();
    fields.extend(size.map(|size| ("repo_size_category", text(size.as_str()))));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_get_what_the_schema_has() {
        let event = Runs::read().unwrap().event(1);
        let json = serde_json::to_value(&event).unwrap();
        let json = json.as_object().unwrap();
        let unset = ["event_id", "repo_size_category", "timestamp"];
        let (fields, identity) = (fields(&event), identity(&event));
        assert_eq!(fields.len() + identity.len() + unset.len(), json.len());
        assert!(fields.iter().all(|(name, _)| json.contains_key(*name)));
        assert!(identity.iter().all(|(name, value)| json[*name] == *value));
        assert_eq!(json["timestamp"], "2026-02-15T05:29:13.042Z");
        assert_eq!(event.validate(), Ok(()));
    }
}

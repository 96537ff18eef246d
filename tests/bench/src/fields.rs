//! What an event says, for SDKs that know no schema.

use std::fmt;

use mosaicstack_telemetry::{QualityGate, TaskCompletionEvent};
use opentelemetry::logs::AnyValue;
use serde::Serialize;

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
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

impl Value {
    /// The same, but a list becomes one text.
    #[must_use]
    pub fn flat(self) -> Self {
        match self {
            Self::Words(_) => Self::Text(self.to_string()),
            value => value,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Count(count) => count.fmt(f),
            Self::Share(share) => share.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Words(words) => f.write_str(&words.join(",")),
        }
    }
}

impl From<Value> for AnyValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => text.into(),
            Value::Count(count) => Self::Int(i64::try_from(count).unwrap_or(i64::MAX)),
            Value::Share(share) => share.into(),
            Value::Flag(flag) => flag.into(),
            Value::Words(words) => words.into_iter().collect(),
        }
    }
}

impl From<Value> for serde_json::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => text.into(),
            Value::Count(count) => count.into(),
            Value::Share(share) => share.into(),
            Value::Flag(flag) => flag.into(),
            Value::Words(words) => words.into(),
        }
    }
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
    use crate::events::Runs;

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

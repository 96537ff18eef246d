//! The event that reports one completed task.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

#[cfg(feature = "schemars")]
use crate::schema;
use crate::{
    Complexity, EventBuilder, Harness, Outcome, Provider, QualityGate, RepoSizeCategory,
    SchemaVersion, TaskType, count, timestamp,
};

/// One completed AI-coding task, as schema 1.0 describes it.
///
/// Made by an [`EventBuilder`] (which keeps every field in its range) or read from JSON. Reading
/// through serde is lenient: unknown keys are ignored and ranges are not checked. [`from_json`]
/// and [`validate`] are strict.
///
/// Serialization writes every key, `null` for the two that are unset, and is deterministic: equal
/// events give equal bytes.
///
/// [`from_json`]: Self::from_json
/// [`validate`]: Self::validate
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct TaskCompletionEvent {
    /// The Mosaic Stack installation that reports; it must belong to the API key.
    #[cfg_attr(feature = "schemars", schemars(schema_with = "schema::uuid"))]
    pub instance_id: Uuid,
    /// Identifies the event. A server is assumed to take a repeated one once.
    #[cfg_attr(feature = "schemars", schemars(schema_with = "schema::uuid"))]
    pub event_id: Uuid,
    /// The version of the schema.
    ///
    /// Always [`SchemaVersion::V1_0`] in events that this crate builds.
    #[cfg_attr(feature = "schemars", schemars(schema_with = "schema::version"))]
    pub schema_version: SchemaVersion,
    /// When the task was completed, in UTC.
    ///
    /// Written in whole milliseconds.
    #[serde(with = "timestamp")]
    #[cfg_attr(feature = "schemars", schemars(schema_with = "schema::timestamp"))]
    pub timestamp: OffsetDateTime,
    /// How long the task took, in milliseconds.
    #[serde(deserialize_with = "count::deserialize")]
    pub task_duration_ms: u64,
    /// What kind of work the task was.
    pub task_type: TaskType,
    /// How hard the task was thought to be.
    pub complexity: Complexity,
    /// The tool that drove the model.
    pub harness: Harness,
    /// The model's name as its provider writes it.
    #[cfg_attr(feature = "schemars", schemars(length(min = 1, max = crate::MAX_TEXT_CHARS)))]
    pub model: String,
    /// Who served the model.
    pub provider: Provider,
    /// Input tokens, as estimated before the task.
    #[serde(deserialize_with = "count::deserialize")]
    pub estimated_input_tokens: u64,
    /// Output tokens, as estimated before the task.
    #[serde(deserialize_with = "count::deserialize")]
    pub estimated_output_tokens: u64,
    /// Input tokens consumed.
    #[serde(deserialize_with = "count::deserialize")]
    pub actual_input_tokens: u64,
    /// Output tokens generated.
    #[serde(deserialize_with = "count::deserialize")]
    pub actual_output_tokens: u64,
    /// Cost in microdollars (1 USD = 1,000,000), as estimated before the task.
    #[serde(deserialize_with = "count::deserialize")]
    pub estimated_cost_usd_micros: u64,
    /// Cost in microdollars (1 USD = 1,000,000).
    #[serde(deserialize_with = "count::deserialize")]
    pub actual_cost_usd_micros: u64,
    /// Whether the quality gates were passed.
    pub quality_gate_passed: bool,
    /// The quality gates that ran.
    pub quality_gates_run: Vec<QualityGate>,
    /// Those of them that failed.
    pub quality_gates_failed: Vec<QualityGate>,
    /// How often the context was compacted.
    #[serde(deserialize_with = "count::deserialize")]
    pub context_compactions: u64,
    /// How often the context was rotated.
    #[serde(deserialize_with = "count::deserialize")]
    pub context_rotations: u64,
    /// The share of the context window in use at the end, 0.0 to 1.0.
    #[cfg_attr(feature = "schemars", schemars(range(max = 1.0)))]
    pub context_utilization_final: f64,
    /// How the task ended.
    pub outcome: Outcome,
    /// How often the task was tried again.
    #[serde(default, deserialize_with = "count::deserialize")]
    pub retry_count: u64,
    /// The programming language.
    #[serde(default)]
    #[cfg_attr(feature = "schemars", schemars(length(min = 1, max = crate::MAX_TEXT_CHARS)))]
    pub language: Option<String>,
    /// The size of the repository.
    #[serde(default)]
    pub repo_size_category: Option<RepoSizeCategory>,
}

impl TaskCompletionEvent {
    /// The highest count that the wire carries: integers are signed there.
    pub const MAX_COUNT: u64 = i64::MAX as u64;

    /// Starts an event of the given installation.
    pub fn builder(instance_id: Uuid) -> EventBuilder {
        EventBuilder::new(instance_id)
    }
}

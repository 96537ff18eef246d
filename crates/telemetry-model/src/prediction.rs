//! Predictions: request and response of `POST /v1/predictions/batch`.
//!
//! Deserialization is lenient where the protocol leaves room: unknown keys are ignored, and keys that
//! servers might omit or set to `null` have defaults.

mod estimate;
mod lenient;
mod percentiles;
mod query;
mod validate;

use serde::{Deserialize, Serialize};

pub use self::{
    estimate::Estimate,
    percentiles::{Percentiles, TokenDistribution},
    query::{PredictionQuery, PredictionRequest},
    validate::MAX_PREDICTIONS_BYTES,
};
use crate::Confidence;
#[cfg(feature = "schemars")]
use crate::schema;

/// Response body of `POST /v1/predictions/batch`.
///
/// [`from_json`](Self::from_json) is strict. For leniency, deserialize each [`PredictionResponse`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct PredictionResults {
    /// Results, in the order of the queries.
    #[cfg_attr(feature = "schemars", schemars(length(max = PredictionRequest::MAX_QUERIES)))]
    pub results: Vec<PredictionResponse>,
}

impl PredictionResults {
    /// Creates a response body with results in the order of the queries.
    #[must_use]
    pub const fn new(results: Vec<PredictionResponse>) -> Self {
        Self { results }
    }
}

/// Result of one query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::response))]
#[non_exhaustive]
pub struct PredictionResponse {
    /// Prediction; `null` if the server has no data.
    ///
    /// It is `None` if and only if the confidence is [`Confidence::None`].
    pub prediction: Option<PredictionData>,
    /// Basis of the prediction.
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub metadata: PredictionMetadata,
}

impl PredictionResponse {
    /// Creates a result.
    #[must_use]
    pub const fn new(prediction: Option<PredictionData>, metadata: PredictionMetadata) -> Self {
        Self { prediction, metadata }
    }
}

/// Predicted resource use and result of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct PredictionData {
    /// Input tokens.
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub input_tokens: TokenDistribution,
    /// Output tokens.
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub output_tokens: TokenDistribution,
    /// Cost in microdollars (1 USD = 1,000,000).
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub cost_usd_micros: Percentiles,
    /// Duration in milliseconds.
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub duration_ms: Percentiles,
    /// Ratio of actual to estimated tokens.
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub correction_factors: CorrectionFactors,
    /// Rates of success.
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub quality: QualityPrediction,
}

/// Ratios of actual to estimated tokens; above 1.0 where estimates have been too low.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, !default, transform = schema::strict))]
#[non_exhaustive]
pub struct CorrectionFactors {
    /// Ratio for input tokens.
    #[serde(deserialize_with = "lenient::null_as_one")]
    pub input: f64,
    /// Ratio for output tokens.
    #[serde(deserialize_with = "lenient::null_as_one")]
    pub output: f64,
}

impl CorrectionFactors {
    /// Creates the factors.
    #[must_use]
    pub const fn new(input: f64, output: f64) -> Self {
        Self { input, output }
    }
}

impl Default for CorrectionFactors {
    /// Returns factors of 1.0.
    fn default() -> Self {
        Self::new(1.0, 1.0)
    }
}

/// Success rates of tasks, from 0.0 to 1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, !default, transform = schema::strict))]
#[non_exhaustive]
pub struct QualityPrediction {
    /// Share of tasks that passed the quality gates.
    #[serde(deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(range(max = 1.0)))]
    pub gate_pass_rate: f64,
    /// Share of tasks that succeeded.
    #[serde(deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(range(max = 1.0)))]
    pub success_rate: f64,
}

impl QualityPrediction {
    /// Creates the rates.
    #[must_use]
    pub const fn new(gate_pass_rate: f64, success_rate: f64) -> Self {
        Self { gate_pass_rate, success_rate }
    }
}

/// Basis of a prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, !default, transform = schema::strict))]
#[non_exhaustive]
pub struct PredictionMetadata {
    /// Number of tasks that it was computed from.
    #[serde(deserialize_with = "lenient::null_as_zero")]
    pub sample_size: u64,
    /// Reliability.
    #[serde(deserialize_with = "lenient::null_as_default")]
    pub confidence: Confidence,
    /// Description of the dropped dimensions, if any.
    pub fallback_note: Option<String>,
    /// Number or name of the dropped dimensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_level: Option<FallbackLevel>,
}

impl PredictionMetadata {
    /// Creates the metadata of a prediction without fallback.
    #[must_use]
    pub const fn new(sample_size: u64, confidence: Confidence) -> Self {
        Self { sample_size, confidence, fallback_note: None, fallback_level: None }
    }

    /// Sets the level and note of a fallback.
    #[must_use]
    pub fn with_fallback(mut self, level: FallbackLevel, note: impl Into<String>) -> Self {
        self.fallback_level = Some(level);
        self.fallback_note = Some(note.into());
        self
    }
}

/// Extent of the fallback that the server used.
///
/// The type is an assumption: deserialization accepts numbers and strings, and keeps any other value as
/// the text of its JSON. The strict validation accepts numbers and strings only.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum FallbackLevel {
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
}

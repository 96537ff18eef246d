//! What the server answers before a task.
//!
//! Reading is lenient where the protocol leaves room: unknown keys are ignored, and what is not
//! known to be always present has a default, which `null` stands for as well.

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

/// The body of the answer to `POST /v1/predictions/batch`, as a server writes it.
///
/// To read what any server sends, deserialize each [`PredictionResponse`] on its own: that is
/// lenient. [`from_json`](Self::from_json) is strict.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct PredictionResults {
    /// The answers, in the order of the queries.
    #[cfg_attr(feature = "schemars", schemars(length(max = PredictionRequest::MAX_QUERIES)))]
    pub results: Vec<PredictionResponse>,
}

impl PredictionResults {
    /// Answers the queries, in their order.
    #[must_use]
    pub const fn new(results: Vec<PredictionResponse>) -> Self {
        Self { results }
    }
}

/// The answer to one query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::response))]
#[non_exhaustive]
pub struct PredictionResponse {
    /// What to expect; none if the server has no data.
    ///
    /// The confidence is [`Confidence::None`] then.
    pub prediction: Option<PredictionData>,
    /// What the prediction rests on.
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub metadata: PredictionMetadata,
}

impl PredictionResponse {
    /// Pairs a prediction with what it rests on.
    #[must_use]
    pub const fn new(prediction: Option<PredictionData>, metadata: PredictionMetadata) -> Self {
        Self { prediction, metadata }
    }
}

/// What to expect of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct PredictionData {
    /// Input tokens.
    pub input_tokens: TokenDistribution,
    /// Output tokens.
    pub output_tokens: TokenDistribution,
    /// Cost in microdollars (1 USD = 1,000,000).
    pub cost_usd_micros: Percentiles,
    /// Duration in milliseconds.
    pub duration_ms: Percentiles,
    /// How far estimates have been off.
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub correction_factors: CorrectionFactors,
    /// How tasks have ended.
    #[serde(default, deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(!default))]
    pub quality: QualityPrediction,
}

/// Actual over estimated tokens: above 1.0, estimates have been too low.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, !default, transform = schema::strict))]
#[non_exhaustive]
pub struct CorrectionFactors {
    /// For input tokens.
    #[serde(deserialize_with = "lenient::null_as_one")]
    pub input: f64,
    /// For output tokens.
    #[serde(deserialize_with = "lenient::null_as_one")]
    pub output: f64,
}

impl CorrectionFactors {
    /// Names both factors.
    #[must_use]
    pub const fn new(input: f64, output: f64) -> Self {
        Self { input, output }
    }
}

impl Default for CorrectionFactors {
    /// Estimates have been right.
    fn default() -> Self {
        Self::new(1.0, 1.0)
    }
}

/// How tasks have ended, as shares from 0.0 to 1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, !default, transform = schema::strict))]
#[non_exhaustive]
pub struct QualityPrediction {
    /// The share that passed the quality gates.
    #[serde(deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(range(max = 1.0)))]
    pub gate_pass_rate: f64,
    /// The share that succeeded.
    #[serde(deserialize_with = "lenient::null_as_default")]
    #[cfg_attr(feature = "schemars", schemars(range(max = 1.0)))]
    pub success_rate: f64,
}

impl QualityPrediction {
    /// Names both shares.
    #[must_use]
    pub const fn new(gate_pass_rate: f64, success_rate: f64) -> Self {
        Self { gate_pass_rate, success_rate }
    }
}

/// What a prediction rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, !default, transform = schema::strict))]
#[non_exhaustive]
pub struct PredictionMetadata {
    /// How many tasks it was computed from.
    #[serde(deserialize_with = "lenient::null_as_zero")]
    pub sample_size: u64,
    /// How far it can be relied on.
    #[serde(deserialize_with = "lenient::null_as_default")]
    pub confidence: Confidence,
    /// Says in words which dimensions were dropped, if any were.
    pub fallback_note: Option<String>,
    /// How many dimensions were dropped, or their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_level: Option<FallbackLevel>,
}

impl PredictionMetadata {
    /// Names what a prediction without a fallback rests on.
    #[must_use]
    pub const fn new(sample_size: u64, confidence: Confidence) -> Self {
        Self { sample_size, confidence, fallback_note: None, fallback_level: None }
    }

    /// Adds that a fallback was used.
    #[must_use]
    pub fn with_fallback(mut self, level: FallbackLevel, note: impl Into<String>) -> Self {
        self.fallback_level = Some(level);
        self.fallback_note = Some(note.into());
        self
    }
}

/// How far the server fell back.
///
/// The type is an assumption: a number and a text are both read, and anything else is kept as text,
/// as its JSON. The strict validation takes numbers and texts alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum FallbackLevel {
    /// As a number.
    Number(f64),
    /// As text.
    Text(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> serde_json::Value {
        let tokens = json!({"p10": 1, "p25": 2.5, "median": 3, "p75": 4, "p90": 5});
        json!({
            "prediction": {
                "input_tokens": tokens,
                "output_tokens": tokens,
                "cost_usd_micros": {"median": 4950, "p99": 7},
                "duration_ms": {"median": 1500.5},
                "correction_factors": {"input": 1.2},
                "quality": {"gate_pass_rate": 0.5, "success_rate": 0.25},
                "more": {},
            },
            "metadata": {"sample_size": 12, "confidence": "low", "fallback_level": "model"},
        })
    }

    fn read(answer: serde_json::Value) -> Result<PredictionResponse, serde_json::Error> {
        serde_json::from_value(answer)
    }

    #[test]
    fn an_answer_survives_the_wire() {
        let response = read(answer()).unwrap();
        let data = response.prediction.as_ref().unwrap();
        assert_eq!((data.input_tokens.p25, data.output_tokens.p90), (2.5, 5.0));
        assert_eq!(data.cost_usd_micros, Percentiles::new(4950.0).with("p99", 7.0));
        assert_eq!(data.duration_ms.median(), 1500.5);
        assert_eq!(data.correction_factors, CorrectionFactors::new(1.2, 1.0));
        assert_eq!(response.metadata.confidence, Confidence::Low);
        let level = FallbackLevel::Text("model".into());
        assert_eq!(response.metadata.fallback_level, Some(level));
        let json = serde_json::to_string(&response).unwrap();
        assert_eq!(serde_json::from_str::<PredictionResponse>(&json).unwrap(), response);
    }

    #[test]
    fn the_median_is_there_or_there_is_no_prediction() {
        for map in ["cost_usd_micros", "duration_ms"] {
            let mut answer = answer();
            answer["prediction"][map] = json!({"p50": 3});
            assert_eq!(read(answer).unwrap_err().to_string(), "missing field `median`");
        }
    }

    #[test]
    fn no_data_is_an_answer() {
        let none = json!({"prediction": null, "metadata": {"confidence": "none"}});
        assert_eq!(read(none).unwrap(), PredictionResponse::default());
        assert_eq!(read(json!({"prediction": null})).unwrap(), PredictionResponse::default());
    }
}

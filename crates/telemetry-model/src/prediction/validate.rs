//! Strict validation of prediction requests and responses.

use serde_json::value::RawValue;

use crate::{
    Confidence, CorrectionFactors, FallbackLevel, Percentiles, PredictionData, PredictionMetadata,
    PredictionQuery, PredictionRequest, PredictionResponse, PredictionResults, QualityPrediction,
    TokenDistribution, ValidationErrors,
    errors::excerpt,
    field::Field,
    reader::{Keys, Reader, amount_or, string},
    validate::check_size,
};

/// Maximum size of a document for [`PredictionRequest::from_json`] and
/// [`PredictionResults::from_json`], in bytes.
pub const MAX_PREDICTIONS_BYTES: usize = 1024 * 1024;

const REQUEST: Keys = keys(&["queries"]);
const QUERY: Keys = keys(&["task_type", "model", "provider", "complexity"]);
const RESULTS: Keys = keys(&["results"]);
const RESPONSE: Keys = keys(&["prediction", "metadata"]);
const DATA: Keys = keys(&[
    "input_tokens",
    "output_tokens",
    "cost_usd_micros",
    "duration_ms",
    "correction_factors",
    "quality",
]);
const TOKENS: Keys = keys(&["p10", "p25", "median", "p75", "p90"]);
const FACTORS: Keys = keys(&["input", "output"]);
const QUALITY: Keys = keys(&["gate_pass_rate", "success_rate"]);
const METADATA: Keys = Keys {
    optional: &["fallback_note", "fallback_level"],
    ..keys(&["sample_size", "confidence", "fallback_note", "fallback_level"])
};

const fn keys(names: &'static [&'static str]) -> Keys {
    Keys { source: "API v1", names, optional: &[] }
}

impl PredictionRequest {
    /// Parses a request body strictly: every key once and no other, texts of 1 to
    /// [`MAX_TEXT_CHARS`](crate::MAX_TEXT_CHARS) characters, at most
    /// [`MAX_QUERIES`](Self::MAX_QUERIES) queries. Unlisted values of enumerations are accepted.
    ///
    /// Safe for untrusted input of up to [`MAX_PREDICTIONS_BYTES`], like
    /// [`TaskCompletionEvent::from_json`](crate::TaskCompletionEvent::from_json).
    ///
    /// ```
    /// use telemetry_model::PredictionRequest;
    ///
    /// let body = br#"{"queries": [{"task_type": "testing", "model": "", "provider": "openai"}]}"#;
    /// let errors = PredictionRequest::from_json(body).unwrap_err();
    /// assert_eq!(
    ///     errors.to_string(),
    ///     "/queries/0/model: expected 1 to 256 characters, found none\n\
    ///      /queries/0/complexity: expected this key, found none"
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// Returns all violations.
    pub fn from_json(json: &[u8]) -> Result<Self, ValidationErrors> {
        check_size(json, MAX_PREDICTIONS_BYTES)?;
        let mut reader = Reader::new(json, &REQUEST)?;
        let queries = reader.objects("queries", Self::MAX_QUERIES, &QUERY, query);
        reader.errors.or(|| Self { queries })
    }
}

fn query(reader: &mut Reader<'_>) -> PredictionQuery {
    PredictionQuery {
        task_type: Field::read_or_initial(reader, "task_type"),
        model: Field::read_or_initial(reader, "model"),
        provider: Field::read_or_initial(reader, "provider"),
        complexity: Field::read_or_initial(reader, "complexity"),
    }
}

impl PredictionResults {
    /// Parses a response body strictly, for tests of servers: every key once and no other, numbers
    /// finite and not negative, rates from 0.0 to 1.0, a prediction if and only if the confidence is
    /// not `none`, at most [`MAX_QUERIES`](PredictionRequest::MAX_QUERIES) results. `fallback_note`
    /// and `fallback_level` may be absent or null. Cost and duration need a `median` and may have
    /// percentiles of any other name.
    ///
    /// Safe for untrusted input, like [`PredictionRequest::from_json`].
    ///
    /// # Errors
    ///
    /// Returns all violations.
    pub fn from_json(json: &[u8]) -> Result<Self, ValidationErrors> {
        check_size(json, MAX_PREDICTIONS_BYTES)?;
        let mut reader = Reader::new(json, &RESULTS)?;
        let max = PredictionRequest::MAX_QUERIES;
        let results = reader.objects("results", max, &RESPONSE, response);
        reader.errors.or(|| Self { results })
    }
}

fn response(reader: &mut Reader<'_>) -> PredictionResponse {
    let is_null = reader.peek("prediction").is_some_and(|value| value.get() == "null");
    let prediction = if is_null { None } else { reader.object("prediction", &DATA, data) };
    let metadata = reader.object("metadata", &METADATA, metadata);
    if let Some((_, Some(confidence))) = &metadata {
        let found = match confidence {
            Confidence::None => prediction.is_some().then_some("expected null, found an object"),
            _ => is_null.then_some("expected an object, found null"),
        };
        if let Some(message) = found {
            let confidence = excerpt(confidence.as_str());
            let message = format!("{message}: the confidence is {confidence}");
            reader.errors.add("/prediction", message);
        }
    }
    PredictionResponse { prediction, metadata: metadata.unwrap_or_default().0 }
}

fn data(reader: &mut Reader<'_>) -> PredictionData {
    PredictionData {
        input_tokens: reader.object("input_tokens", &TOKENS, tokens).unwrap_or_default(),
        output_tokens: reader.object("output_tokens", &TOKENS, tokens).unwrap_or_default(),
        cost_usd_micros: percentiles(reader, "cost_usd_micros"),
        duration_ms: percentiles(reader, "duration_ms"),
        correction_factors: reader
            .object("correction_factors", &FACTORS, |factors| {
                CorrectionFactors::new(factors.amount("input"), factors.amount("output"))
            })
            .unwrap_or_default(),
        quality: reader
            .object("quality", &QUALITY, |quality| {
                QualityPrediction::new(
                    Field::read_or_initial(quality, "gate_pass_rate"),
                    Field::read_or_initial(quality, "success_rate"),
                )
            })
            .unwrap_or_default(),
    }
}

fn tokens(reader: &mut Reader<'_>) -> TokenDistribution {
    TokenDistribution {
        p10: Some(reader.amount("p10")),
        p25: Some(reader.amount("p25")),
        median: Some(reader.amount("median")),
        p75: Some(reader.amount("p75")),
        p90: Some(reader.amount("p90")),
    }
}

fn percentiles(reader: &mut Reader<'_>, key: &str) -> Percentiles {
    let Some(amounts) = reader.amounts(key) else { return Percentiles::default() };
    Percentiles::from_map(amounts).unwrap_or_else(|| {
        reader.errors.add(&format!("/{key}/median"), "expected this key, found none");
        Percentiles::default()
    })
}

/// Reads the metadata. The confidence is also returned apart, `None` if it is invalid.
fn metadata(reader: &mut Reader<'_>) -> (PredictionMetadata, Option<Confidence>) {
    let sample_size = Field::read_or_initial(reader, "sample_size");
    let confidence: Option<Confidence> = Field::read(reader, "confidence");
    let metadata = PredictionMetadata {
        sample_size,
        confidence: confidence.clone().unwrap_or_default(),
        fallback_note: reader.nullable("fallback_note", |note| string(note, "a string or null")),
        fallback_level: reader.nullable("fallback_level", level),
    };
    (metadata, confidence)
}

fn level(value: &RawValue) -> Result<FallbackLevel, ValidationErrors> {
    const EXPECTED: &str = "a number, 0 or above, a string or null";
    if value.get().starts_with('"') {
        string(value, EXPECTED).map(FallbackLevel::Text)
    } else {
        amount_or(value, EXPECTED).map(FallbackLevel::Number)
    }
}

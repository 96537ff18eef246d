//! Lenient deserialization of predictions.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{FallbackLevel, count::Count};

/// Reads a value; `null` is its default.
pub(super) fn null_as_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a count; `null` is 0.
pub(super) fn null_as_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Option::deserialize(deserializer).map(|count| count.map_or(0, |Count(count)| count))
}

/// Reads a factor; `null` is 1.0.
pub(super) fn null_as_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::deserialize(deserializer).map(|factor| factor.unwrap_or(1.0))
}

impl<'de> Deserialize<'de> for FallbackLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A derived untagged enum fails on fractions if `serde_json/arbitrary_precision` is enabled.
        Ok(match Value::deserialize(deserializer)? {
            Value::String(text) => Self::Text(text),
            other => match other.as_f64() {
                Some(number) => Self::Number(number),
                None => Self::Text(other.to_string()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        Confidence, CorrectionFactors, Percentiles, PredictionMetadata, PredictionResponse,
        QualityPrediction,
    };

    fn response() -> Value {
        let tokens = json!({"p10": 1, "p25": 2, "median": 3, "p75": 4, "p90": 5});
        json!({
            "prediction": {
                "input_tokens": tokens,
                "output_tokens": tokens,
                "cost_usd_micros": {"median": 4950, "p90": null, "p99": 7},
                "duration_ms": {"median": 1500, "p25": null},
                "correction_factors": {"input": 2.5, "output": 0.5},
                "quality": {"gate_pass_rate": 0.5, "success_rate": 0.25},
            },
            "metadata": {"sample_size": 12, "confidence": "low", "fallback_level": 2},
        })
    }

    /// Reads the response with another value at `at`, from text and from a `Value`.
    fn read(at: &str, value: Value) -> Result<PredictionResponse, String> {
        let mut response = response();
        let value_at = response.pointer_mut(at).expect("a value in the response");
        *value_at = value;
        let by_text = serde_json::from_str(&response.to_string()).map_err(|it| it.to_string());
        let by_value = serde_json::from_value(response).map_err(|it| it.to_string());
        assert_eq!(by_text.as_ref().ok(), by_value.as_ref().ok());
        by_value
    }

    #[test]
    fn absent_and_unknown_keys_are_accepted() {
        let mut json = response();
        json["prediction"]["more"] = json!({});
        json["prediction"]["correction_factors"] = json!({"input": 2.5});
        json["prediction"].as_object_mut().unwrap().remove("quality");
        json["metadata"] = json!({"confidence": "low"});
        let response: PredictionResponse = serde_json::from_value(json).unwrap();
        let data = response.prediction.unwrap();
        assert_eq!(data.correction_factors, CorrectionFactors::new(2.5, 1.0));
        assert_eq!(data.quality, QualityPrediction::default());
        assert_eq!(response.metadata, PredictionMetadata::new(0, Confidence::Low));
        let none: PredictionResponse = serde_json::from_value(json!({"prediction": null})).unwrap();
        assert_eq!(none, PredictionResponse::default());
    }

    #[test]
    fn null_is_read_as_default() {
        let base = read("/metadata/sample_size", json!(12)).unwrap();
        for (at, default) in [
            ("/prediction/correction_factors", json!({"input": 1, "output": 1})),
            ("/prediction/correction_factors/input", json!(1)),
            ("/prediction/correction_factors/output", json!(1)),
            ("/prediction/quality", json!({"gate_pass_rate": 0, "success_rate": 0})),
            ("/prediction/quality/gate_pass_rate", json!(0)),
            ("/prediction/quality/success_rate", json!(0)),
            ("/metadata", json!({"sample_size": 0, "confidence": "none"})),
            ("/metadata/sample_size", json!(0)),
            ("/metadata/confidence", json!("none")),
        ] {
            let expected = read(at, default).unwrap();
            assert_ne!(expected, base, "{at}");
            assert_eq!(read(at, Value::Null), Ok(expected), "{at}");
        }
        let none = read("/metadata/fallback_level", Value::Null).unwrap();
        assert_eq!(none.metadata.fallback_level, None);
    }

    #[test]
    fn null_percentile_is_ignored_except_for_the_median() {
        let data = read("/metadata/sample_size", json!(12)).unwrap().prediction.unwrap();
        assert_eq!(data.cost_usd_micros, Percentiles::new(4950.0).with("p99", 7.0));
        assert_eq!(data.duration_ms, Percentiles::new(1500.0));
        for map in ["cost_usd_micros", "duration_ms"] {
            let error = read(&format!("/prediction/{map}/median"), Value::Null).unwrap_err();
            assert_eq!(error, "missing field `median`");
        }
    }

    #[test]
    fn fallback_level_of_any_type_is_read() {
        let text = |text: &str| FallbackLevel::Text(text.into());
        for (json, level) in [
            (json!(2), FallbackLevel::Number(2.0)),
            (json!(-0.5), FallbackLevel::Number(-0.5)),
            (json!(u64::MAX), FallbackLevel::Number(u64::MAX as f64)),
            (json!("model"), text("model")),
            (json!(true), text("true")),
            (json!(["model", 2]), text(r#"["model",2]"#)),
            (json!({"dropped": ["model"]}), text(r#"{"dropped":["model"]}"#)),
        ] {
            let read = read("/metadata/fallback_level", json).unwrap();
            assert_eq!(read.metadata.fallback_level, Some(level));
        }
    }
}

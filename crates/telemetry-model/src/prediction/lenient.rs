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
    use crate::{Percentiles, PredictionResponse};

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
                "more": {},
            },
            "metadata": {"sample_size": 12, "confidence": "low", "fallback_level": 2},
        })
    }

    /// Reads the response with another value at `at`, from text and from a `Value`.
    fn read(at: &str, value: Value) -> PredictionResponse {
        let mut response = response();
        *response.pointer_mut(at).unwrap() = value;
        let by_text: PredictionResponse = serde_json::from_str(&response.to_string()).unwrap();
        assert_eq!(serde_json::from_value::<PredictionResponse>(response).unwrap(), by_text);
        by_text
    }

    #[test]
    fn null_and_absent_values_are_defaults() {
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
            let expected = read(at, default);
            assert_ne!(expected, read("/prediction/more", json!({})), "{at}");
            assert_eq!(read(at, Value::Null), expected, "{at}");
            let (parent, key) = at.rsplit_once('/').unwrap();
            let mut response = response();
            response.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
            assert_eq!(serde_json::from_value::<PredictionResponse>(response).unwrap(), expected);
        }
        let data = read("/metadata", Value::Null).prediction.unwrap();
        assert_eq!(data.cost_usd_micros, Percentiles::new(4950.0).with("p99", 7.0));
        let no_data = read("/prediction", Value::Null);
        assert_eq!(no_data.prediction, None);
    }

    #[test]
    fn null_and_absent_percentiles_leave_the_others() {
        for key in ["input_tokens", "output_tokens", "cost_usd_micros", "duration_ms"] {
            let at = format!("/prediction/{key}");
            for at in [format!("{at}/median"), at] {
                let read = read(&at, Value::Null);
                let (parent, key) = at.rsplit_once('/').unwrap();
                let mut response = response();
                response.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
                assert_eq!(serde_json::from_value::<PredictionResponse>(response).unwrap(), read);
                let data = read.prediction.clone().unwrap();
                assert_eq!(data.quality.success_rate, 0.25);
                let medians = [
                    (data.input_tokens.median, 3.0),
                    (data.output_tokens.median, 3.0),
                    (data.cost_usd_micros.median(), 4950.0),
                    (data.duration_ms.median(), 1500.0),
                ];
                let absent = medians.iter().filter(|(median, _)| median.is_none()).count();
                assert_eq!(absent, 1, "{at}");
                assert!(medians.iter().all(|(median, all)| median.is_none_or(|it| it == *all)));
                let json = serde_json::to_string(&read).unwrap();
                assert_eq!(serde_json::from_str::<PredictionResponse>(&json).unwrap(), read);
            }
        }
    }

    #[test]
    fn fallback_level_of_any_type_is_read() {
        let text = |text: &str| Some(FallbackLevel::Text(text.into()));
        for (json, level) in [
            (json!(-0.5), Some(FallbackLevel::Number(-0.5))),
            (json!(u64::MAX), Some(FallbackLevel::Number(u64::MAX as f64))),
            (json!("model"), text("model")),
            (json!(true), text("true")),
            (json!(["model", 2]), text(r#"["model",2]"#)),
            (json!({"dropped": ["model"]}), text(r#"{"dropped":["model"]}"#)),
            (Value::Null, None),
        ] {
            assert_eq!(read("/metadata/fallback_level", json).metadata.fallback_level, level);
        }
    }
}

//! Parsing of prediction responses, in memory proportional to the body whatever it contains.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use telemetry_model::{PredictionRequest, PredictionResponse};
use telemetry_transport::TransportError;

use crate::error::PredictionError;

use crate::response;

/// Maximum size of one prediction in JSON; the server's have less than 1 kB. Predictions are cached for
/// hours, and a body of 1 MB can take 10 MB once parsed.
const MAX_PREDICTION_BYTES: usize = 8 * 1024;

/// Parses one prediction for each of `queries` queries, in their order; invalid ones are `None`.
///
/// # Errors
///
/// `Transport` if the body ends early, `Unreadable` if it is not a list of `queries` results. Nothing
/// from the body is repeated.
pub(crate) fn predictions(
    body: &[u8],
    queries: usize,
) -> Result<Vec<Option<PredictionResponse>>, PredictionError> {
    #[derive(Deserialize)]
    struct Results<'a> {
        #[serde(borrow, alias = "predictions")]
        results: Items<'a>,
    }
    let body = response::text(body);
    let array = body.trim_ascii_start().starts_with('[');
    let results = if array {
        serde_json::from_str::<Items<'_>>(&body)
    } else {
        serde_json::from_str::<Results<'_>>(&body).map(|body| body.results)
    };
    let Items { first, count } = results.map_err(|error| {
        // The connection broke in the body: a later request may succeed.
        if error.is_eof() {
            return PredictionError::Transport(TransportError::network("incomplete response"));
        }
        // Without the error's own text, which can quote the body.
        let (line, column) = (error.line(), error.column());
        PredictionError::Unreadable(format!("invalid response at line {line} column {column}"))
    })?;
    if count != queries {
        let message = format!("expected {queries} results, found {count}");
        return Err(PredictionError::Unreadable(message));
    }
    Ok(first.into_iter().map(prediction).collect())
}

fn prediction(json: &RawValue) -> Option<PredictionResponse> {
    let json = json.get();
    (json.len() <= MAX_PREDICTION_BYTES).then(|| serde_json::from_str(json).ok()).flatten()
}

/// Items of an array, up to the maximum number of queries, and the number of all items.
struct Items<'a> {
    first: Vec<&'a RawValue>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut first = Vec::new();
                while first.len() < PredictionRequest::MAX_QUERIES {
                    let Some(item) = items.next_element()? else {
                        return Ok(Items { count: first.len(), first });
                    };
                    first.push(item);
                }
                let mut count = first.len();
                while items.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Items { first, count })
            }
        }

        deserializer.deserialize_seq(Array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"prediction":null,"metadata":{"sample_size":0,"confidence":"none"}}"#;

    #[test]
    fn results_are_accepted_in_three_forms() {
        for body in [
            format!("{{\"results\":[{ONE},7]}}"),
            format!("{{\"predictions\":[{ONE},7],\"more\":1}}"),
            format!(" [{ONE},7]"),
            format!("\u{feff}[{ONE},7]"),
        ] {
            let results = predictions(body.as_bytes(), 2).unwrap();
            assert!(results[0].as_ref().unwrap().prediction.is_none());
            assert!(results[1].is_none());
            let error = predictions(body.as_bytes(), 3).unwrap_err();
            assert_eq!(error.to_string(), "no predictions: expected 3 results, found 2");
        }
        for invalid in ["{}", "secret", "\"secret\"", "{\"results\":{}}", "[1,]"] {
            let error = predictions(invalid.as_bytes(), 0).unwrap_err();
            assert!(!error.is_transient(), "{error}");
            let error = error.to_string();
            assert!(error.starts_with("no predictions: invalid response at line "), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn incomplete_response_is_a_transient_error() {
        for incomplete in ["", "[1,", "{\"results\":[{\"predic"] {
            let error = predictions(incomplete.as_bytes(), 0).unwrap_err();
            assert!(error.is_transient(), "{error}");
        }
    }

    #[test]
    fn excess_results_are_counted_but_not_kept() {
        let body = format!("[{}{ONE}]", "0,".repeat(100_000));
        let error = predictions(body.as_bytes(), 2).unwrap_err().to_string();
        assert!(error.ends_with("expected 2 results, found 100001"), "{error}");
        let body = format!("[{}{ONE}]", format!("{ONE},").repeat(49));
        assert!(predictions(body.as_bytes(), 50).unwrap().iter().all(Option::is_some));
    }

    #[test]
    fn oversized_prediction_is_invalid() {
        let body = |len: usize| {
            let start = format!("{},\"fallback_level\":\"", ONE.trim_end_matches('}'));
            format!("[{start}{}\"}}}}]", "x".repeat(len - start.len() - "\"}}".len()))
        };
        for (len, is_valid) in [(MAX_PREDICTION_BYTES, true), (MAX_PREDICTION_BYTES + 1, false)] {
            let results = predictions(body(len).as_bytes(), 1).unwrap();
            assert_eq!(results[0].is_some(), is_valid, "{len}");
        }
    }
}

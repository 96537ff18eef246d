//! Reads predictions in little more memory than their text takes, whatever stands in it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use telemetry_model::{PredictionRequest, PredictionResponse};

/// The most bytes of one prediction; the server's take less than one thousand. Answers are kept for
/// hours, and one million bytes of percentiles would take ten.
const MAX_PREDICTION_BYTES: usize = 8 * 1024;

/// Reads predictions, one for each of `asked` queries, in their order; an answer that cannot be
/// read is none.
pub(crate) fn predictions(
    body: &[u8],
    asked: usize,
) -> Result<Vec<Option<PredictionResponse>>, String> {
    #[derive(Deserialize)]
    struct Results<'a> {
        #[serde(borrow, alias = "predictions")]
        results: Items<'a>,
    }
    let array = body.trim_ascii_start().starts_with(b"[");
    let results = if array {
        serde_json::from_slice::<Items<'_>>(body)
    } else {
        serde_json::from_slice::<Results<'_>>(body).map(|body| body.results)
    };
    let Items { first, count } = results.map_err(|error| {
        // Not the error itself: it can repeat what it was found in.
        format!("the answer is not readable: line {} column {}", error.line(), error.column())
    })?;
    if count != asked {
        return Err(format!("{asked} queries were asked and {count} answered"));
    }
    Ok(first.into_iter().map(prediction).collect())
}

fn prediction(json: &RawValue) -> Option<PredictionResponse> {
    let json = json.get();
    (json.len() <= MAX_PREDICTION_BYTES).then(|| serde_json::from_str(json).ok()).flatten()
}

/// The items of an array, as many as can be asked for, and how many there are.
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
    fn predictions_come_in_three_forms_and_must_match_the_queries() {
        for body in [
            format!("{{\"results\":[{ONE},7]}}"),
            format!("{{\"predictions\":[{ONE},7],\"more\":1}}"),
            format!(" [{ONE},7]"),
        ] {
            let answers = predictions(body.as_bytes(), 2).unwrap();
            assert!(answers[0].as_ref().unwrap().prediction.is_none());
            assert!(answers[1].is_none());
            let error = predictions(body.as_bytes(), 3).unwrap_err();
            assert_eq!(error, "3 queries were asked and 2 answered");
        }
        for unreadable in ["", "{}", "secret", "\"secret\"", "{\"results\":{}}", "[1,"] {
            let error = predictions(unreadable.as_bytes(), 0).unwrap_err();
            assert!(error.starts_with("the answer is not readable: line "), "{error}");
        }
    }

    #[test]
    fn answers_without_end_are_counted_and_not_kept() {
        let many = format!("[{}{ONE}]", "0,".repeat(100_000));
        let error = predictions(many.as_bytes(), 2).unwrap_err();
        assert_eq!(error, "2 queries were asked and 100001 answered");
        let most = format!("[{}{ONE}]", format!("{ONE},").repeat(49));
        assert!(predictions(most.as_bytes(), 50).unwrap().iter().all(Option::is_some));
    }

    #[test]
    fn a_prediction_that_is_too_large_is_unreadable() {
        let of = |len: usize| {
            let one = ONE.trim_end_matches('}');
            let fill = "x".repeat(len - one.len() - r#","fallback_level":""}}"#.len());
            format!("[{one},\"fallback_level\":\"{fill}\"}}}}]")
        };
        let read = |len| predictions(of(len).as_bytes(), 1).unwrap().remove(0);
        assert!(read(MAX_PREDICTION_BYTES).is_some());
        assert!(read(MAX_PREDICTION_BYTES + 1).is_none());
    }
}

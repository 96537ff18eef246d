//! The request that reports events, and its answer.

use std::{error::Error, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use uuid::Uuid;

#[cfg(feature = "schemars")]
use crate::schema;
use crate::{TaskCompletionEvent, count::Count};

/// The body of `POST /v1/events/batch`.
///
/// It has at most [`MAX_EVENTS`](Self::MAX_EVENTS) events.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
pub struct EventBatch {
    /// The events, in order.
    #[cfg_attr(feature = "schemars", schemars(length(max = EventBatch::MAX_EVENTS)))]
    events: Vec<TaskCompletionEvent>,
}

impl EventBatch {
    /// The most events that the server takes in one request.
    pub const MAX_EVENTS: usize = 100;

    /// Makes a batch.
    ///
    /// # Errors
    ///
    /// There are more than [`MAX_EVENTS`](Self::MAX_EVENTS) events; the error hands them back.
    pub fn new(events: Vec<TaskCompletionEvent>) -> Result<Self, TooManyEvents> {
        if events.len() > Self::MAX_EVENTS {
            return Err(TooManyEvents { events });
        }
        Ok(Self { events })
    }

    /// The events, in order.
    #[must_use]
    pub fn events(&self) -> &[TaskCompletionEvent] {
        &self.events
    }

    /// The events, in order.
    #[must_use]
    pub fn into_events(self) -> Vec<TaskCompletionEvent> {
        self.events
    }
}

/// More events than the server takes in one request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TooManyEvents {
    /// The events, handed back.
    pub events: Vec<TaskCompletionEvent>,
}

impl fmt::Display for TooManyEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (max, found) = (EventBatch::MAX_EVENTS, self.events.len());
        write!(f, "expected at most {max} events in a batch, found {found}: split them")
    }
}

impl Error for TooManyEvents {}

/// The answer to `POST /v1/events/batch`.
///
/// Its form is an assumption: no public source shows it. So it is read leniently: every key is
/// optional, one of another type is as if absent, and unknown keys are ignored. A client takes any
/// 2xx answer as acceptance, whatever its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BatchReceipt {
    /// How many events were taken.
    #[serde(deserialize_with = "lenient_count")]
    pub accepted: u64,
    /// How many were not.
    #[serde(deserialize_with = "lenient_count")]
    pub rejected: u64,
    /// What became of single events. Of more than a batch has, the first ones are read.
    #[serde(deserialize_with = "lenient_results")]
    pub results: Vec<EventResult>,
}

/// What became of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EventResult {
    /// Which event.
    #[serde(deserialize_with = "lenient")]
    pub event_id: Option<Uuid>,
    /// `accepted` or `rejected`; other words are kept.
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    /// Why it was rejected. What is not text is kept as JSON.
    #[serde(deserialize_with = "text_or_json")]
    pub error: Option<String>,
}

fn lenient<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Value::deserialize(deserializer).map(|value| T::deserialize(value).unwrap_or_default())
}

fn lenient_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    lenient(deserializer).map(|Count(count)| count)
}

/// The results that can be read, one after the other: those of a whole batch, and no more, since a
/// stranger may send any number.
fn lenient_results<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<EventResult>, D::Error> {
    struct Results;
    impl<'de> Visitor<'de> for Results {
        type Value = Vec<EventResult>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut results = Vec::new();
            while results.len() < EventBatch::MAX_EVENTS {
                let Some(item) = seq.next_element::<Value>()? else { return Ok(results) };
                results.extend(EventResult::deserialize(item));
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(results)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            IgnoredAny.visit_map(map).map(|_| Vec::new())
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }
    }
    deserializer.deserialize_any(Results)
}

fn text_or_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    })
}

impl BatchReceipt {
    /// Counts the results of a batch.
    #[must_use]
    pub fn new(results: Vec<EventResult>) -> Self {
        let rejected = results.iter().filter(|result| result.is_rejected()).count() as u64;
        Self { accepted: results.len() as u64 - rejected, rejected, results }
    }
}

impl EventResult {
    /// The event was taken, now or before.
    #[must_use]
    pub fn accepted(event_id: Uuid) -> Self {
        Self { event_id: Some(event_id), status: "accepted".into(), error: None }
    }

    /// The event was not taken, and will not be.
    #[must_use]
    pub fn rejected(event_id: Option<Uuid>, error: impl Into<String>) -> Self {
        Self { event_id, status: "rejected".into(), error: Some(error.into()) }
    }

    /// Whether the server refused the event: it says so, or names an error and does not say that
    /// it accepted the event.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        match self.status.as_str() {
            "accepted" => false,
            "rejected" => true,
            _ => self.error.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> BatchReceipt {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_receipt_survives_the_wire() {
        let receipt = BatchReceipt::new(vec![
            EventResult::accepted(Uuid::from_u128(1)),
            EventResult::rejected(Some(Uuid::from_u128(2)), "no such model"),
            EventResult::rejected(None, "no id"),
        ]);
        assert_eq!((receipt.accepted, receipt.rejected), (1, 2));
        assert_eq!(read(&serde_json::to_string(&receipt).unwrap()), receipt);
    }

    #[test]
    fn no_more_results_are_kept_than_a_batch_has_events() {
        let receipt = read(&format!(r#"{{"results":[{}7],"rejected":3}}"#, "7,{},".repeat(1_000)));
        assert_eq!((receipt.results.len(), receipt.rejected), (EventBatch::MAX_EVENTS, 3));
        for none in ["null", "true", "7", "-7", "0.5", r#""x""#, r#"{"a":[{}]}"#, "[]"] {
            let receipt = read(&format!(r#"{{"results":{none},"rejected":3}}"#));
            assert_eq!((receipt.results.len(), receipt.rejected), (0, 3), "{none}");
        }
    }

    #[test]
    fn each_key_is_read_on_its_own() {
        assert_eq!(read("{}"), BatchReceipt::default());
        let receipt = read(
            r#"{"accepted":null,"rejected":1,"more":{},
                "results":[7,{"event_id":"no id","status":3,"error":{"loc":["model"]}},{}]}"#,
        );
        assert_eq!((receipt.accepted, receipt.rejected), (0, 1));
        assert_eq!(read(r#"{"accepted":3.0,"rejected":2e0}"#).rejected, 2);
        assert_eq!(receipt.results.len(), 2);
        assert_eq!(receipt.results[0].error.as_deref(), Some(r#"{"loc":["model"]}"#));
        assert!(receipt.results[0].is_rejected() && !receipt.results[1].is_rejected());
    }
}

//! Request and response of `POST /v1/events/batch`.

use std::{borrow::Cow, error::Error, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

#[cfg(feature = "schemars")]
use crate::schema;
use crate::{TaskCompletionEvent, count::Count, reader::items};

/// Request body of `POST /v1/events/batch`.
///
/// Has at most [`MAX_EVENTS`](Self::MAX_EVENTS) events.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
pub struct EventBatch {
    /// Events, in order.
    #[cfg_attr(feature = "schemars", schemars(length(max = EventBatch::MAX_EVENTS)))]
    events: Vec<TaskCompletionEvent>,
}

impl EventBatch {
    /// Maximum number of events in one request.
    pub const MAX_EVENTS: usize = 100;

    /// Creates a batch.
    ///
    /// # Errors
    ///
    /// Returns the events inside the error if there are more than [`MAX_EVENTS`](Self::MAX_EVENTS).
    pub fn new(events: Vec<TaskCompletionEvent>) -> Result<Self, TooManyEvents> {
        if events.len() > Self::MAX_EVENTS {
            return Err(TooManyEvents { events });
        }
        Ok(Self { events })
    }

    /// Returns the events, in order.
    #[must_use]
    pub fn events(&self) -> &[TaskCompletionEvent] {
        &self.events
    }

    /// Unwraps the events, in order.
    #[must_use]
    pub fn into_events(self) -> Vec<TaskCompletionEvent> {
        self.events
    }
}

/// Error for more than [`EventBatch::MAX_EVENTS`] events.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TooManyEvents {
    /// The events that were passed in.
    pub events: Vec<TaskCompletionEvent>,
}

impl fmt::Display for TooManyEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (max, found) = (EventBatch::MAX_EVENTS, self.events.len());
        write!(f, "expected at most {max} events in a batch, found {found}: split them")
    }
}

impl Error for TooManyEvents {}

/// Maximum number of characters kept of an error that is not a string.
const MAX_ERROR_JSON: usize = 4 * 1024;

/// Response body of `POST /v1/events/batch`.
///
/// Its format is an assumption: no public source shows it. Deserialization is therefore lenient: every
/// key is optional, a value of the wrong type counts as absent, counts may be strings, and unknown keys
/// are ignored.
///
/// Deserialization requires `serde_json`. It uses memory in proportion to the text, for any content, and
/// reads at most [`EventBatch::MAX_EVENTS`] results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BatchReceipt {
    /// Number of accepted events.
    #[serde(deserialize_with = "lenient_count")]
    pub accepted: Option<u64>,
    /// Number of rejected events.
    #[serde(deserialize_with = "lenient_count")]
    pub rejected: Option<u64>,
    /// Results of single events.
    #[serde(deserialize_with = "lenient_items")]
    pub results: Vec<EventResult>,
}

/// Result of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EventResult {
    /// ID of the event.
    #[serde(deserialize_with = "lenient")]
    pub event_id: Option<Uuid>,
    /// `accepted` or `rejected`; other values are kept.
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    /// Reason of the rejection. A value that is not a string is kept as JSON, truncated to 4,096
    /// characters.
    #[serde(deserialize_with = "text_or_json")]
    pub error: Option<String>,
}

/// Reads a value, or the default if it has another type.
fn lenient<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    // Not by way of a `Value`, which can be a hundred times as large as its text.
    let json = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(json.get()).unwrap_or_default())
}

/// Reads a count, also one that is written as a string.
fn lenient_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let json = Box::<RawValue>::deserialize(deserializer)?;
    let text = serde_json::from_str::<Cow<'_, str>>(json.get());
    let json = text.as_deref().map_or_else(|_| json.get(), str::trim);
    Ok(serde_json::from_str(json).ok().map(|Count(count)| count))
}

/// The items of an array that can be read, of the first [`EventBatch::MAX_EVENTS`].
fn lenient_items<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let json = Box::<RawValue>::deserialize(deserializer)?;
    let (items, _) = items(&json, EventBatch::MAX_EVENTS).unwrap_or_default();
    // serde would also read an array as the fields of a struct.
    let objects = items.into_iter().map(RawValue::get).filter(|item| item.starts_with('{'));
    Ok(objects.filter_map(|item| serde_json::from_str(item).ok()).collect())
}

fn text_or_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let json = Box::<RawValue>::deserialize(deserializer)?;
    if let Ok(text) = serde_json::from_str::<Option<String>>(json.get()) {
        return Ok(text.filter(|text| !text.is_empty()));
    }
    let json = json.get();
    if json.len() > MAX_ERROR_JSON {
        return Ok(Some(json.chars().take(MAX_ERROR_JSON).collect()));
    }
    let value = serde_json::from_str::<Value>(json);
    Ok(Some(value.map_or_else(|_| json.to_owned(), |value| value.to_string())))
}

impl BatchReceipt {
    /// Creates a receipt from the results of all events of a batch.
    #[must_use]
    pub fn new(results: Vec<EventResult>) -> Self {
        let rejected = results.iter().filter(|result| result.is_rejected()).count() as u64;
        let accepted = results.len() as u64 - rejected;
        Self { accepted: Some(accepted), rejected: Some(rejected), results }
    }
}

impl EventResult {
    /// Creates the result of an event that is accepted, now or as a duplicate.
    #[must_use]
    pub fn accepted(event_id: Uuid) -> Self {
        Self { event_id: Some(event_id), status: "accepted".into(), error: None }
    }

    /// Creates the result of an event that is rejected permanently.
    #[must_use]
    pub fn rejected(event_id: Option<Uuid>, error: impl Into<String>) -> Self {
        Self { event_id, status: "rejected".into(), error: Some(error.into()) }
    }

    /// Returns `true` if the status is `rejected`, or if there is an error and the status is not
    /// `accepted`.
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
    fn receipt_survives_serialization() {
        let receipt = BatchReceipt::new(vec![
            EventResult::accepted(Uuid::from_u128(1)),
            EventResult::rejected(Some(Uuid::from_u128(2)), "no such model"),
            EventResult::rejected(None, "no id"),
        ]);
        assert_eq!((receipt.accepted, receipt.rejected), (Some(1), Some(2)));
        assert_eq!(read(&serde_json::to_string(&receipt).unwrap()), receipt);
    }

    #[test]
    fn values_of_wrong_types_are_ignored_key_by_key() {
        assert_eq!(read("{}"), BatchReceipt::default());
        let receipt = read(
            r#"{"accepted":null,"rejected":2e0,"more":{},
                "results":[7,["rejected"],{"event_id":"no id","status":3,"error":{"loc":["model"]}},{}]}"#,
        );
        assert_eq!((receipt.accepted, receipt.rejected, receipt.results.len()), (None, Some(2), 2));
        let counts = read(r#"{"accepted":"3","rejected":" 2e0 "}"#);
        assert_eq!((counts.accepted, counts.rejected), (Some(3), Some(2)));
        assert_eq!(receipt.results[0].error.as_deref(), Some(r#"{"loc":["model"]}"#));
        assert!(receipt.results[0].is_rejected() && !receipt.results[1].is_rejected());
        for results in ["{\"a\":[1]}", "true", "7", "\"rejected\"", "null"] {
            let json = format!(r#"{{"results":{results},"rejected":2}}"#);
            assert_eq!(
                (read(&json).rejected, read(&json).results.len()),
                (Some(2), 0),
                "{results}"
            );
            let value: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::from_value::<BatchReceipt>(value).unwrap(), read(&json));
        }
    }

    #[test]
    fn long_results_and_errors_are_truncated() {
        for (count, expected) in [(99, 99), (100_000, EventBatch::MAX_EVENTS)] {
            let json = format!(r#"{{"results":[{}"x"],"rejected":3}}"#, "{},".repeat(count));
            assert_eq!((read(&json).rejected, read(&json).results.len()), (Some(3), expected));
        }
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let wide = format!("[\"{}\"]", "ö".repeat(5000));
        for (error, length) in [(deep(1000), 2000), (deep(100_000), 4096), (wide, 4096)] {
            let receipt = read(&format!(r#"{{"results":[{{"error":{error}}}],"rejected":1}}"#));
            let kept = receipt.results[0].error.as_deref().unwrap();
            assert_eq!(kept.chars().count(), length);
            assert!(error.starts_with(kept));
        }
    }
}

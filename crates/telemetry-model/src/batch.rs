//! The request that reports events, and its answer.

use std::{error::Error, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
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

/// The most characters that are kept of an error that is not text.
const MAX_ERROR_JSON: usize = 4 * 1024;

/// The answer to `POST /v1/events/batch`.
///
/// Its form is an assumption: no public source shows it. So it is read leniently: every key is
/// optional, one of another type is as if absent, and unknown keys are ignored. A client takes any
/// 2xx answer as acceptance, whatever its body.
///
/// Reading, which only `serde_json` can do, takes little more memory than the text itself, whatever
/// stands in it: of the results, as many are read as a batch can have events.
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
    /// What became of single events.
    #[serde(deserialize_with = "lenient_items")]
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
    /// Why it was rejected. What is not text is kept as JSON, of which the first 4,096 characters are
    /// kept.
    #[serde(deserialize_with = "text_or_json")]
    pub error: Option<String>,
}

/// What its text reads as, or the default. Text, not a [`Value`]: that can be a hundred times as large.
fn lenient<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let json = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(json.get()).unwrap_or_default())
}

fn lenient_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    lenient(deserializer).map(|Count(count)| count)
}

/// Those that can be read of the first of them.
fn lenient_items<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(Items(PhantomData))
}

struct Items<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut read = Vec::new();
        for _ in 0..EventBatch::MAX_EVENTS {
            let Some(json) = items.next_element::<Box<RawValue>>()? else { return Ok(read) };
            read.extend(serde_json::from_str(json.get()).ok());
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(read)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Vec::new())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_str<E>(self, _: &str) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
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

    #[test]
    fn what_is_no_list_has_no_results() {
        for results in ["{\"a\":[1]}", "true", "-1", "7", "0.5", "\"rejected\"", "null"] {
            let receipt = read(&format!(r#"{{"results":{results},"rejected":2}}"#));
            assert_eq!((receipt.rejected, receipt.results.len()), (2, 0), "{results}");
            let value: Value =
                serde_json::from_str(&format!(r#"{{"results":{results}}}"#)).unwrap();
            assert_eq!(serde_json::from_value::<BatchReceipt>(value).unwrap().results, []);
        }
    }

    #[test]
    fn a_list_without_end_is_read_to_a_bound() {
        let items = |item: &str, count| {
            format!(r#"{{"results":[{}"x"],"rejected":3}}"#, format!("{item},").repeat(count))
        };
        let receipt = read(&items("{}", 100_000));
        assert_eq!((receipt.rejected, receipt.results.len()), (3, EventBatch::MAX_EVENTS));
        let receipt = read(&items("{}", 99));
        assert_eq!((receipt.rejected, receipt.results.len()), (3, 99));
    }

    #[test]
    fn an_error_without_end_is_kept_to_a_bound() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for error in
            [deep, format!("[{}0]", "[],".repeat(100_000)), format!("[\"{}\"]", "ö".repeat(5000))]
        {
            let receipt = read(&format!(r#"{{"results":[{{"error":{error}}}],"rejected":1}}"#));
            let kept = receipt.results[0].error.as_deref().unwrap();
            assert_eq!(kept.chars().count(), MAX_ERROR_JSON);
            assert!(error.starts_with(kept));
        }
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        let receipt = read(&format!(r#"{{"results":[{{"error":{deep}}}]}}"#));
        assert_eq!(receipt.results[0].error, Some(deep));
    }
}

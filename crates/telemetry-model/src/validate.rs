//! Strict validation, of values and of JSON: every error, with its place.

use serde_json::value::RawValue;

use crate::{
    EventBatch, TaskCompletionEvent, ValidationErrors,
    errors::expected,
    reader::{Keys, Reader},
};

/// The largest document that [`TaskCompletionEvent::from_json`] reads, in bytes.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// The largest document that [`EventBatch::from_json`] reads, in bytes.
pub const MAX_BATCH_BYTES: usize = EventBatch::MAX_EVENTS * MAX_EVENT_BYTES;

const BATCH: Keys = Keys { source: "schema 1.0", names: &["events"], optional: &[] };

impl TaskCompletionEvent {
    /// Checks every range that the builder keeps.
    ///
    /// # Errors
    ///
    /// All errors at once, each with a pointer such as `/context_utilization_final`.
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::none();
        self.check(&mut errors);
        errors.set_event_id(Some(self.event_id));
        errors.or(|| ())
    }

    /// Reads one event strictly: every key of the schema once and no other, each of its type and
    /// in its range. `retry_count`, `language` and `repo_size_category` may be absent; words that
    /// are not listed are accepted, since the lists are open.
    ///
    /// Safe for input of any origin: it does not panic, needs memory in proportion to the input
    /// (which may have up to [`MAX_EVENT_BYTES`]) and does not recurse.
    ///
    /// ```
    /// use telemetry_model::TaskCompletionEvent;
    ///
    /// let errors = TaskCompletionEvent::from_json(br#"{"model": 7, "modle": "x"}"#).unwrap_err();
    /// let model = errors.iter().find(|error| error.pointer == "/model").unwrap();
    /// assert_eq!(model.message, "expected a string, found 7");
    /// assert!(errors.to_string().contains("/modle: expected no such key in schema 1.0"));
    /// ```
    ///
    /// # Errors
    ///
    /// All errors at once. JSON that is broken is one error, with its line and column.
    pub fn from_json(json: &[u8]) -> Result<Self, ValidationErrors> {
        check_size(json, MAX_EVENT_BYTES)?;
        let (event, mut errors) = Self::read(json)?;
        errors.set_event_id(Some(event.event_id).filter(|id| !id.is_nil()));
        errors.or(|| event)
    }
}

impl EventBatch {
    /// Checks every event as [`TaskCompletionEvent::validate`] does.
    ///
    /// # Errors
    ///
    /// All errors of all events, each with a pointer such as `/events/3/model`.
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::none();
        for (index, event) in self.events().iter().enumerate() {
            errors.record(format_args!("/events/{index}"), event.validate());
        }
        errors.or(|| ())
    }

    /// Reads the body of a batch request strictly, each event on its own: a bad one never hides a
    /// good one.
    ///
    /// As safe as [`TaskCompletionEvent::from_json`], for up to [`MAX_BATCH_BYTES`].
    ///
    /// # Errors
    ///
    /// The outer error means that there is no batch of at most [`EventBatch::MAX_EVENTS`] events in
    /// the document; an inner one lists the errors of that event, with pointers into the document.
    pub fn from_json(
        json: &[u8],
    ) -> Result<Vec<Result<TaskCompletionEvent, ValidationErrors>>, ValidationErrors> {
        check_size(json, MAX_BATCH_BYTES)?;
        let mut reader = Reader::new(json, &BATCH)?;
        let items = reader.items("events", Self::MAX_EVENTS);
        let event = |(index, item): (usize, &RawValue)| {
            TaskCompletionEvent::from_json(item.get().as_bytes())
                .map_err(|errors| errors.below(&format!("/events/{index}")))
        };
        reader.errors.or(|| items.into_iter().enumerate().map(event).collect())
    }
}

pub(crate) fn check_size(json: &[u8], max: usize) -> Result<(), ValidationErrors> {
    if json.len() > max {
        return Err(expected(&format!("at most {max} bytes"), json.len()));
    }
    Ok(())
}

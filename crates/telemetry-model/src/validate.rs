//! Strict validation of events and batches, as values and as JSON.

use serde_json::value::RawValue;

use crate::{
    EventBatch, TaskCompletionEvent, ValidationErrors,
    errors::expected,
    reader::{Keys, Reader},
};

/// Maximum size of a document for [`TaskCompletionEvent::from_json`], in bytes.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Maximum size of a document for [`EventBatch::from_json`], in bytes.
pub const MAX_BATCH_BYTES: usize = EventBatch::MAX_EVENTS * MAX_EVENT_BYTES;

const BATCH: Keys = Keys { source: "schema 1.0", names: &["events"], optional: &[] };

impl TaskCompletionEvent {
    /// Checks that every field is in its range, as in events from the builder.
    ///
    /// # Errors
    ///
    /// Returns all violations, with pointers such as `/context_utilization_final`.
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::none();
        self.check(&mut errors);
        errors.set_event_id(Some(self.event_id));
        errors.or(|| ())
    }

    /// Parses one event strictly: every key of the schema once and no other, each of its type and
    /// in its range. `retry_count`, `language` and `repo_size_category` may be absent. Unlisted values
    /// of enumerations are accepted.
    ///
    /// Safe for untrusted input of up to [`MAX_EVENT_BYTES`]: it does not panic or recurse, and uses
    /// memory in proportion to the input.
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
    /// Returns all violations. Malformed JSON is a single one, with line and column.
    pub fn from_json(json: &[u8]) -> Result<Self, ValidationErrors> {
        check_size(json, MAX_EVENT_BYTES)?;
        let (event, mut errors) = Self::read(json)?;
        errors.set_event_id(Some(event.event_id).filter(|id| !id.is_nil()));
        errors.or(|| event)
    }
}

impl EventBatch {
    /// Checks every event with [`TaskCompletionEvent::validate`].
    ///
    /// # Errors
    ///
    /// Returns the violations of all events, with pointers such as `/events/3/model`.
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::none();
        for (index, event) in self.events().iter().enumerate() {
            errors.record(format_args!("/events/{index}"), event.validate());
        }
        errors.or(|| ())
    }

    /// Parses the body of a batch request strictly and each event independently: an invalid event
    /// does not affect the others.
    ///
    /// Safe for untrusted input of up to [`MAX_BATCH_BYTES`], like
    /// [`TaskCompletionEvent::from_json`].
    ///
    /// # Errors
    ///
    /// Returns an outer error unless the document is a batch of at most [`EventBatch::MAX_EVENTS`]
    /// events. An inner error lists the violations of one event, with pointers into the document.
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

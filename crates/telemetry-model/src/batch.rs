//! The request that reports events, and its answer.

use std::{error::Error, fmt};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::TaskCompletionEvent;

/// The body of `POST /v1/events/batch`: at most [`MAX_EVENTS`](Self::MAX_EVENTS) events.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EventBatch {
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
/// Its form is an assumption: no public source shows it. So every key is optional, unknown keys are
/// ignored, and a client takes any 2xx answer as acceptance, whatever its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchReceipt {
    /// How many events were taken.
    #[serde(default)]
    pub accepted: u64,
    /// How many were not.
    #[serde(default)]
    pub rejected: u64,
    /// What became of single events.
    #[serde(default)]
    pub results: Vec<EventResult>,
}

/// What became of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventResult {
    /// Which event.
    #[serde(default)]
    pub event_id: Option<Uuid>,
    /// `accepted` or `rejected`; other words are kept.
    #[serde(default)]
    pub status: String,
    /// Why it was rejected.
    #[serde(default)]
    pub error: Option<String>,
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

    /// Whether the server refused the event.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.status == "rejected"
    }
}

//! Events that were encoded once, for files and requests.

use std::{ops::Range, sync::Arc};

use telemetry_model::TaskCompletionEvent;
use telemetry_transport::bytes::Bytes;

use super::{BODY_END, BODY_START, EVENT_BYTES};

/// Events as JSON, in the body of a request that submits all of them.
#[derive(Debug, Default)]
pub(crate) struct Json {
    /// A whole body, or nothing.
    body: Vec<u8>,
    /// The end of each event.
    ends: Vec<usize>,
}

/// Keeps the memory of a body for as long as a request is in flight.
struct Shared(Arc<Json>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0.body
    }
}

impl Json {
    pub(crate) fn of(events: &[Box<TaskCompletionEvent>]) -> Self {
        Self::default().with(events)
    }

    /// Removes all events, and keeps memory for as many of a usual size.
    pub(crate) fn cleared(mut self) -> Self {
        let usual = EVENT_BYTES * self.ends.len();
        self.body.clear();
        self.body.shrink_to(usual);
        self.ends.clear();
        self
    }

    /// Adds events, at least one.
    pub(crate) fn with(mut self, events: &[Box<TaskCompletionEvent>]) -> Self {
        self.body.reserve(EVENT_BYTES * events.len());
        self.ends.reserve(events.len());
        for event in events {
            self.add(|body| event.write_json(body));
        }
        self.close();
        self
    }

    pub(crate) fn push(&mut self, json: &[u8]) {
        self.add(|body| body.extend_from_slice(json));
        self.close();
    }

    /// Adds an event, and leaves the body open.
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(&end) = self.ends.last() {
            self.body.truncate(end);
            self.body.push(b',');
        } else {
            self.body.extend_from_slice(BODY_START);
        }
        write(&mut self.body);
        self.ends.push(self.body.len());
    }

    fn close(&mut self) {
        self.body.extend_from_slice(BODY_END);
    }

    pub(crate) const fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.range(at..at + 1))
    }

    /// Consecutive events, separated by commas; empty if they are not all there.
    fn range(&self, at: Range<usize>) -> &[u8] {
        let end_of = |last: usize| self.ends.get(last).copied();
        let start =
            at.start.checked_sub(1).and_then(end_of).map_or(BODY_START.len(), |end| end + 1);
        let end = at.end.checked_sub(1).and_then(end_of).unwrap_or_default();
        self.body.get(start..end).unwrap_or_default()
    }

    /// The body of a request that submits these events. It is not copied if they are all events of one.
    pub(crate) fn body(parts: &[(Arc<Self>, Range<usize>)]) -> Bytes {
        if let [(json, events)] = parts
            && *events == (0..json.len())
        {
            return Bytes::from_owner(Shared(Arc::clone(json)));
        }
        let events: usize = parts.iter().map(|(_, events)| events.len()).sum();
        let mut body = Vec::with_capacity(EVENT_BYTES * events);
        body.extend_from_slice(BODY_START);
        for (at, (json, events)) in parts.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(json.range(events.clone()));
        }
        body.extend_from_slice(BODY_END);
        body.into()
    }
}

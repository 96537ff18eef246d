//! Events and batches.

use std::{collections::BTreeSet, fmt::Debug};

use mosaicstack_telemetry::{
    TaskCompletionEvent,
    model::{EventBatch, ValidationErrors},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use super::{errors, in_proportion};

/// One event, parsed strictly and leniently.
pub(super) fn event(input: &[u8]) {
    let strict = in_proportion(input.len(), 1, || TaskCompletionEvent::from_json(input));
    match &strict {
        Ok(event) => {
            assert_eq!(event.validate(), Ok(()));
            check_written(event, TaskCompletionEvent::from_json);
        }
        Err(found) => errors::check(input, found),
    }
    let lenient = in_proportion(input.len(), 1, || serde_json::from_slice(input));
    check_lenient(input, &strict, lenient.as_ref().ok());
    if let Ok(event) = &lenient {
        check_validated_alike(event);
        let mut by_hand = Vec::new();
        event.write_json(&mut by_hand);
        assert_eq!(serde_json::to_vec(event).ok(), Some(by_hand));
    }
}

/// A batch: each event is validated as it would be alone.
pub(super) fn batch(input: &[u8]) {
    let parts = EventBatch::MAX_EVENTS;
    let events = in_proportion(input.len(), parts, || EventBatch::from_json(input));
    let events = match events {
        Ok(events) => events,
        Err(found) => return errors::check(input, &found),
    };
    assert!(events.len() <= EventBatch::MAX_EVENTS);
    let items = items(input);
    assert_eq!(items.len(), events.len());
    for (index, (event, item)) in events.iter().zip(items).enumerate() {
        let alone = TaskCompletionEvent::from_json(item.get().as_bytes());
        match (event, alone) {
            (Ok(event), Ok(alone)) => assert_eq!(*event, alone),
            (Err(found), Err(alone)) => {
                errors::check(input, found);
                check_moved(found, &alone, index);
            }
            (event, alone) => panic!("in the batch {event:?}, alone {alone:?}"),
        }
    }
    let good: Result<Vec<_>, _> = events.into_iter().collect();
    if let Ok(good) = good {
        let batch = EventBatch::new(good.clone()).expect("no more than there were");
        assert_eq!(batch.validate(), Ok(()));
        let written = serde_json::to_vec(&batch).expect("a batch is JSON");
        let read = EventBatch::from_json(&written).expect("a batch");
        assert_eq!(read.into_iter().collect::<Result<Vec<_>, _>>(), Ok(good));
    }
}

/// Panics unless a strictly parsed value survives a round trip.
pub(super) fn check_written<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    value: &T,
    strict: impl Fn(&[u8]) -> Result<T, ValidationErrors>,
) {
    let written = serde_json::to_vec(value).expect("it is JSON");
    assert_eq!(strict(&written).as_ref(), Ok(value));
    assert_eq!(serde_json::from_slice::<T>(&written).ok().as_ref(), Some(value));
}

/// Panics unless the lenient parser returns the same for a strictly valid document, and survives a
/// round trip.
pub(super) fn check_lenient<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    input: &[u8],
    strict: &Result<T, ValidationErrors>,
    lenient: Option<&T>,
) {
    if let Ok(strict) = strict {
        let is_refused = lenient.is_none() && has_large_count(&json!(strict));
        let found = String::from_utf8_lossy(input);
        assert!(is_refused || lenient == Some(strict), "{found}");
    }
    if let Some(value) = lenient {
        let written = serde_json::to_vec(value).expect("it is JSON");
        let read: T = serde_json::from_slice(&written).expect("what was written");
        assert_eq!(read, *value);
        assert_eq!(serde_json::to_vec(&read).ok(), Some(written));
    }
}

/// True if there is a count that no float holds exactly, which the lenient parser refuses if it is
/// written as a float.
pub(super) fn has_large_count(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_u64().is_some_and(|count| count >= 1 << 53),
        Value::Array(items) => items.iter().any(has_large_count),
        Value::Object(members) => members.values().any(has_large_count),
        _ => false,
    }
}

/// A leniently parsed value and its JSON have validation errors in the same places.
fn check_validated_alike(event: &TaskCompletionEvent) {
    let places = |found: Result<(), ValidationErrors>| match found {
        Ok(()) => BTreeSet::new(),
        Err(found) => found.iter().map(|error| error.pointer.clone()).collect::<BTreeSet<_>>(),
    };
    let written = serde_json::to_vec(event).expect("an event is JSON");
    let by_json = TaskCompletionEvent::from_json(&written);
    let by_value = event.validate();
    let is_cut =
        |found: Option<&ValidationErrors>| found.is_some_and(|it| it.len() > it.iter().count());
    if is_cut(by_value.as_ref().err()) || is_cut(by_json.as_ref().err()) {
        return;
    }
    assert_eq!(places(by_value), places(by_json.map(drop)));
}

/// The same errors, below the pointer of the event.
fn check_moved(found: &ValidationErrors, alone: &ValidationErrors, index: usize) {
    assert_eq!((found.len(), found.event_id()), (alone.len(), alone.event_id()));
    for (found, alone) in found.iter().zip(alone) {
        assert_eq!(found.pointer, format!("/events/{index}{}", alone.pointer));
        assert_eq!(found.message, alone.message);
    }
}

fn items(batch: &[u8]) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Batch<'j> {
        #[serde(borrow)]
        events: Vec<&'j RawValue>,
    }
    serde_json::from_slice::<Batch<'_>>(batch).expect("a batch").events
}

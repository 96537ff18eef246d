//! What strict validation may say of a document.

use std::collections::BTreeMap;

use mosaicstack_telemetry::{ValidationError, ValidationErrors};
use serde_json::value::RawValue;

const MAX_LISTED: usize = 100;

/// The longest message: 40 characters of a document, each escaped, and what was expected.
const MAX_MESSAGE: usize = 640;

const MAX_STEPS: usize = 5;

/// The longest step of a pointer: 40 characters of a key, each escaped, and that it was cut.
const MAX_STEP: usize = 164;

/// How many characters of a key are shown.
const MAX_KEY: usize = 40;

/// From how many bytes on a document is large.
const LARGE: usize = 8 * 1024;

const MISSING: &str = "expected this key, found none";

/// Panics unless each fault can be found in the document, and is told in a few words.
pub(super) fn check(document: &[u8], faults: &ValidationErrors) {
    let listed: Vec<&ValidationError> = faults.iter().collect();
    assert!(!listed.is_empty() && listed.len() <= MAX_LISTED, "{} are listed", listed.len());
    assert!(faults.len() == listed.len() || listed.len() == MAX_LISTED);
    listed.iter().for_each(|fault| check_length(fault));
    // To look them all up in a large one takes long, and shows no more.
    let looked_up = if document.len() > LARGE { 5 } else { MAX_LISTED };
    for fault in listed.iter().take(looked_up) {
        assert!(is_there(document, fault), "{fault} is not in {}", shown(document));
    }
    let lines = faults.to_string().lines().count();
    assert_eq!(lines, listed.len() + usize::from(faults.len() > listed.len()), "{faults}");
}

fn check_length(fault: &ValidationError) {
    let ValidationError { pointer, message, .. } = fault;
    assert!(message.chars().count() <= MAX_MESSAGE, "{message}");
    assert!(!message.contains(char::is_control), "{message:?}");
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    assert!(steps.len() <= MAX_STEPS, "{pointer}");
    assert!(steps.iter().all(|step| step.chars().count() <= MAX_STEP), "{pointer}");
}

/// Whether the place is in the document; of a missing key, the object that lacks it.
fn is_there(document: &[u8], fault: &ValidationError) -> bool {
    if fault.pointer.is_empty() {
        return true;
    }
    // What is skipped need not be UTF-8.
    let document = String::from_utf8_lossy(document);
    let Ok(document) = serde_json::from_str::<&RawValue>(&document) else { return false };
    let Some((parent, key)) = fault.pointer.rsplit_once('/') else { return false };
    let Some(parent) = find(document, parent) else { return false };
    child(parent, key).is_some() != (fault.message == MISSING)
}

fn find<'j>(document: &'j RawValue, pointer: &str) -> Option<&'j RawValue> {
    pointer.split('/').skip(1).try_fold(document, child)
}

fn child<'j>(parent: &'j RawValue, step: &str) -> Option<&'j RawValue> {
    if let Ok(index) = step.parse::<usize>()
        && let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(parent.get())
    {
        return items.get(index).copied();
    }
    // As in the validation, the last of repeated keys counts.
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(parent.get()).ok()?;
    let mut found = members.into_iter().filter(|(key, _)| step_of(key) == step);
    found.next().map(|(_, value)| value)
}

/// `key` as a pointer has it (RFC 6901), cut if it is long.
fn step_of(key: &str) -> String {
    let shown: String = key.chars().take(MAX_KEY).collect();
    let cut = if shown.len() < key.len() { "…" } else { "" };
    format!("{}{cut}", shown.replace('~', "~0").replace('/', "~1"))
}

fn shown(document: &[u8]) -> String {
    String::from_utf8_lossy(document).chars().take(2_000).collect()
}

//! Properties of validation errors.

use std::collections::BTreeMap;

use mosaicstack_telemetry::model::{ValidationError, ValidationErrors};
use serde_json::value::RawValue;

const MAX_LISTED: usize = 100;

/// 40 characters of a document, each escaped, and what was expected.
const MAX_MESSAGE: usize = 640;

const MAX_STEPS: usize = 5;

/// 40 characters of a key, each escaped, and the mark of a cut.
const MAX_STEP: usize = 164;

/// Size from which only the first errors are looked up, since that takes long.
const LARGE: usize = 8 * 1024;

/// Panics unless each error points into the document and has a short message.
pub(super) fn check(document: &[u8], errors: &ValidationErrors) {
    let listed: Vec<&ValidationError> = errors.iter().collect();
    assert!(!listed.is_empty() && listed.len() <= MAX_LISTED, "{} are listed", listed.len());
    assert!(errors.len() == listed.len() || listed.len() == MAX_LISTED);
    for ValidationError { pointer, message, .. } in &listed {
        assert!(message.chars().count() <= MAX_MESSAGE, "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
        let steps: Vec<&str> = pointer.split('/').skip(1).collect();
        assert!(steps.len() <= MAX_STEPS, "{pointer}");
        assert!(steps.iter().all(|step| step.chars().count() <= MAX_STEP), "{pointer}");
    }
    // Skipped parts need not be UTF-8.
    let text = String::from_utf8_lossy(document);
    let looked_up = if document.len() > LARGE { 5 } else { MAX_LISTED };
    for error in listed.iter().take(looked_up) {
        let shown: String = text.chars().take(2_000).collect();
        assert!(points_into(&text, error).is_some_and(|it| it), "{error} is not in {shown}");
    }
    let lines = errors.to_string().lines().count();
    assert_eq!(lines, listed.len() + usize::from(errors.len() > listed.len()), "{errors}");
}

/// True if the place is in the document; false if only its object is, as for a missing key.
fn points_into(document: &str, error: &ValidationError) -> Option<bool> {
    let Some((parent, key)) = error.pointer.rsplit_once('/') else { return Some(true) };
    let document = serde_json::from_str::<&RawValue>(document).ok()?;
    let parent = parent.split('/').skip(1).try_fold(document, child)?;
    Some(child(parent, key).is_some() != (error.message == "expected this key, found none"))
}

fn child<'j>(parent: &'j RawValue, step: &str) -> Option<&'j RawValue> {
    if let Ok(index) = step.parse::<usize>()
        && let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(parent.get())
    {
        return items.get(index).copied();
    }
    // As in the validation, the last of repeated keys counts.
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(parent.get()).ok()?;
    members.into_iter().find(|(key, _)| step_of(key) == step).map(|(_, value)| value)
}

/// `key` as a pointer's step (RFC 6901), cut after 40 characters.
fn step_of(key: &str) -> String {
    let shown: String = key.chars().take(40).collect();
    let cut = if shown.len() < key.len() { "…" } else { "" };
    format!("{}{cut}", shown.replace('~', "~0").replace('/', "~1"))
}

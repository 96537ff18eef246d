//! The ranges that an event's values must be in, kept or checked.

use crate::{SchemaVersion, TaskCompletionEvent, ValidationErrors};

/// The most characters (Unicode scalar values) that a text of an event may have.
///
/// The protocol states no bound; this one is ours, so that no event can grow without limit. It
/// counts what JSON Schema's `maxLength` counts.
pub const MAX_TEXT_CHARS: usize = 256;

const MAX_COUNT: u64 = TaskCompletionEvent::MAX_COUNT;

/// Brings every value into its range.
pub(crate) fn normalize(event: &mut TaskCompletionEvent) {
    for count in [
        &mut event.task_duration_ms,
        &mut event.estimated_input_tokens,
        &mut event.estimated_output_tokens,
        &mut event.actual_input_tokens,
        &mut event.actual_output_tokens,
        &mut event.estimated_cost_usd_micros,
        &mut event.actual_cost_usd_micros,
        &mut event.context_compactions,
        &mut event.context_rotations,
        &mut event.retry_count,
    ] {
        *count = (*count).min(MAX_COUNT);
    }
    let share = &mut event.context_utilization_final;
    // Not `clamp` alone: it keeps what is not a number, and -0.0.
    *share = if *share > 0.0 { share.min(1.0) } else { 0.0 };

    normalize_word(&mut event.task_type);
    normalize_word(&mut event.complexity);
    normalize_word(&mut event.harness);
    normalize_word(&mut event.provider);
    normalize_word(&mut event.outcome);
    event.repo_size_category.iter_mut().for_each(normalize_word);
    for gates in [&mut event.quality_gates_run, &mut event.quality_gates_failed] {
        gates.retain(|gate| !gate.as_str().is_empty());
        gates.iter_mut().for_each(normalize_word);
    }
    if event.model.is_empty() {
        "unknown".clone_into(&mut event.model);
    }
    normalize_text(&mut event.model);
    event.language = event.language.take().filter(|text| !text.is_empty());
    event.language.iter_mut().for_each(normalize_text);
}

/// Cuts a word that is too long; an empty one becomes the default.
fn normalize_word<T: Default + AsRef<str> + for<'a> From<&'a str>>(word: &mut T) {
    let text = word.as_ref();
    if text.is_empty() {
        *word = T::default();
    } else if let Some(end) = excess(text) {
        *word = T::from(&text[..end]);
    }
}

/// Cuts a text that is too long.
fn normalize_text(text: &mut String) {
    if let Some(end) = excess(text) {
        text.truncate(end);
        text.shrink_to_fit();
    }
}

/// The byte at which the excess begins, if there is any.
fn excess(text: &str) -> Option<usize> {
    if text.len() <= MAX_TEXT_CHARS {
        return None;
    }
    text.char_indices().nth(MAX_TEXT_CHARS).map(|(byte, _)| byte)
}

/// Reports every value that is out of its range.
pub(crate) fn check(event: &TaskCompletionEvent, errors: &mut ValidationErrors) {
    check_schema_version(&event.schema_version, errors);
    for (pointer, value) in [
        ("/task_duration_ms", event.task_duration_ms),
        ("/estimated_input_tokens", event.estimated_input_tokens),
        ("/estimated_output_tokens", event.estimated_output_tokens),
        ("/actual_input_tokens", event.actual_input_tokens),
        ("/actual_output_tokens", event.actual_output_tokens),
        ("/estimated_cost_usd_micros", event.estimated_cost_usd_micros),
        ("/actual_cost_usd_micros", event.actual_cost_usd_micros),
        ("/context_compactions", event.context_compactions),
        ("/context_rotations", event.context_rotations),
        ("/retry_count", event.retry_count),
    ] {
        if value > MAX_COUNT {
            errors.add(pointer, count(value));
        }
    }
    if !(0.0..=1.0).contains(&event.context_utilization_final) {
        errors.add("/context_utilization_final", share(event.context_utilization_final));
    }
    for (pointer, value) in [
        ("/schema_version", event.schema_version.as_str()),
        ("/task_type", event.task_type.as_str()),
        ("/complexity", event.complexity.as_str()),
        ("/harness", event.harness.as_str()),
        ("/model", &event.model),
        ("/provider", event.provider.as_str()),
        ("/outcome", event.outcome.as_str()),
    ] {
        check_text(pointer, value, errors);
    }
    for (pointer, gates) in [
        ("/quality_gates_run", &event.quality_gates_run),
        ("/quality_gates_failed", &event.quality_gates_failed),
    ] {
        for (index, gate) in gates.iter().enumerate() {
            check_text(&format!("{pointer}/{index}"), gate.as_str(), errors);
        }
    }
    if let Some(language) = &event.language {
        check_text("/language", language, errors);
    }
    if let Some(size) = &event.repo_size_category {
        check_text("/repo_size_category", size.as_str(), errors);
    }
}

pub(crate) fn check_text(pointer: &str, text: &str, errors: &mut ValidationErrors) {
    if text.is_empty() {
        errors.add(pointer, format!("expected 1 to {MAX_TEXT_CHARS} characters, found none"));
    } else if excess(text).is_some() {
        let found = text.chars().count();
        errors.add(pointer, format!("expected 1 to {MAX_TEXT_CHARS} characters, found {found}"));
    }
}

pub(crate) fn check_schema_version(version: &SchemaVersion, errors: &mut ValidationErrors) {
    // An empty one has been reported as text.
    if !matches!(version.as_str(), "1.0" | "") {
        let found = crate::errors::excerpt(version.as_str());
        errors.add("/schema_version", format!("expected \"1.0\", found {found}"));
    }
}

pub(crate) fn count(found: impl std::fmt::Display) -> String {
    format!("expected an integer from 0 to {MAX_COUNT}, found {found}")
}

pub(crate) fn share(found: impl std::fmt::Display) -> String {
    format!("expected a number from 0.0 to 1.0, found {found}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskType;

    #[test]
    fn text_is_cut_between_characters() {
        for (text, length) in [
            ("a".repeat(256), 256),
            ("a".repeat(257), 256),
            ("é".repeat(256), 512),
            ("é".repeat(257), 512),
            ("€".repeat(1000), 768),
        ] {
            let mut normalized = text;
            normalize_text(&mut normalized);
            assert_eq!(normalized.len(), length);
        }
    }

    #[test]
    fn words_are_cut_too_and_never_empty() {
        let normalized = |word: &str| {
            let mut task_type = TaskType::from(word);
            normalize_word(&mut task_type);
            task_type
        };
        assert_eq!(normalized(&"x".repeat(300)).as_str().len(), MAX_TEXT_CHARS);
        assert_eq!(normalized("debugging"), TaskType::Debugging);
        assert_eq!(normalized(""), TaskType::Unknown);
    }
}

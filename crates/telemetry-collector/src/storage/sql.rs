//! Parts of statements and of their rows that are the same in every database.

use serde::de::DeserializeOwned;

use super::views::{Dimension, Filter};

/// Reads a word as it is on the wire. `From` would also recognize other spellings.
pub(crate) fn exact<T: DeserializeOwned + Default>(word: String) -> T {
    // Infallible: the word was one on the wire.
    serde_json::from_value(word.into()).unwrap_or_default()
}

/// The column of a dimension in the join of `hours` and `series`.
pub(crate) const fn column(by: Dimension) -> &'static str {
    match by {
        Dimension::Hour => "hours.hour",
        // Rounded down, also before 1970.
        Dimension::Day => "((hours.hour - ((hours.hour % 24) + 24) % 24) / 24)",
        Dimension::Harness => "harness",
        Dimension::Model => "model",
        Dimension::Provider => "provider",
        Dimension::TaskType => "task_type",
        Dimension::Complexity => "complexity",
    }
}

/// The comparisons of the words of a filter: the start of each, and its value.
pub(super) fn words(filter: &Filter) -> [(&'static str, Option<&str>); 5] {
    let Filter { harness, model, provider, task_type, complexity, .. } = filter;
    [
        ("harness =", harness.as_deref()),
        ("model =", model.as_deref()),
        ("provider =", provider.as_deref()),
        ("task_type =", task_type.as_deref()),
        ("complexity =", complexity.as_deref()),
    ]
}

/// True if sums of each hour are needed: those over all hours do not suffice.
pub(super) const fn needs_hours(filter: &Filter, is_by_time: bool) -> bool {
    is_by_time || filter.from.is_some() || filter.to.is_some()
}

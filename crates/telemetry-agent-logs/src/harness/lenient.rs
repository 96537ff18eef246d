//! Values of logs whose types drift.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The value; `None` if there is none, or one of another type.
pub(super) fn parsed<'a, T: Deserialize<'a>>(value: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}

//! Arguments of setters of optional fields.

use std::borrow::Cow;

use crate::RepoSizeCategory;

/// A value, its text, or an `Option` of either: the argument of setters of optional fields.
///
/// Implemented for texts (`&str`, `String`), the field's enumeration and their `Option`s.
pub trait IntoOptional<T>: sealed::Sealed<T> {}

impl<T, V: sealed::Sealed<T>> IntoOptional<T> for V {}

mod sealed {
    pub trait Sealed<T> {
        fn into_optional(self) -> Option<T>;
    }
}

pub(super) fn optional<T>(value: impl IntoOptional<T>) -> Option<T> {
    value.into_optional()
}

// Listed one by one: an implementation for every `Into<T>` would overlap with that for `Option`.
macro_rules! impl_sealed {
    ($($value:ty => $field:ty),+ $(,)?) => {$(
        impl sealed::Sealed<$field> for $value {
            #[inline]
            fn into_optional(self) -> Option<$field> {
                Some(self.into())
            }
        }

        impl sealed::Sealed<$field> for Option<$value> {
            #[inline]
            fn into_optional(self) -> Option<$field> {
                self.map(Into::into)
            }
        }
    )+};
}

impl_sealed! {
    &str => String,
    &String => String,
    String => String,
    Cow<'_, str> => String,
    &str => RepoSizeCategory,
    String => RepoSizeCategory,
    RepoSizeCategory => RepoSizeCategory,
}

//! Values of logs whose types drift: one of an unexpected type counts as absent and does not lose the record.
//!
//! [`Text`] and the like are read in one pass. A [`Raw`] value is parsed once it is needed.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

/// A value that is parsed once it is needed.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// The value; `None` if there is none, or one of another type.
pub(super) fn parsed<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// A number without its fraction, such as a time.
pub(super) fn number(raw: Raw<'_>) -> Option<i64> {
    parsed::<f64>(raw).map(|number| number as i64)
}

/// The text of a JSON string with its escapes; for another value its JSON.
pub(super) fn escaped(raw: Raw<'_>) -> &str {
    let json = raw.map_or("", RawValue::get);
    json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json)
}

/// A string; empty for another value.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(Cow<'a, str>);

/// True for `true`, else false.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flag(pub(super) bool);

/// A number; absent for another value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Number {
    #[default]
    Absent,
    Negative(i64),
    Whole(u64),
    Float(f64),
}

/// An object; `None` for another value.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) Option<T>);

/// The objects of an array; empty for another value.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

/// The content of a message: a string or an array of blocks.
#[derive(Debug)]
pub(super) enum Content<'a, T> {
    Text(Cow<'a, str>),
    Blocks(Vec<T>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, if it is not empty.
    pub(super) fn filled(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| !text.is_empty())
    }
}

impl Number {
    /// The value if it is a whole number that is not negative, else 0.
    pub(super) const fn count(self) -> u64 {
        match self {
            Self::Whole(number) => number,
            _ => 0,
        }
    }

    /// The value, if it is a whole number above 0.
    pub(super) fn positive(self) -> Option<u64> {
        Some(self.count()).filter(|count| *count > 0)
    }

    /// The value, if it is a whole number in this range.
    pub(super) fn whole(self) -> Option<i64> {
        match self {
            Self::Negative(number) => Some(number),
            Self::Whole(number) => i64::try_from(number).ok(),
            Self::Absent | Self::Float(_) => None,
        }
    }

    pub(super) const fn value(self) -> Option<f64> {
        match self {
            Self::Absent => None,
            Self::Negative(number) => Some(number as f64),
            Self::Whole(number) => Some(number as f64),
            Self::Float(number) => Some(number),
        }
    }
}

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for Content<'_, T> {
    fn default() -> Self {
        Self::Blocks(Vec::new())
    }
}

/// Accepts any value. Implementors override what they can use.
trait Lenient<'de>: Sized + Default {
    fn text(_: Cow<'de, str>) -> Self {
        Self::default()
    }

    fn flag(_: bool) -> Self {
        Self::default()
    }

    fn number(_: Number) -> Self {
        Self::default()
    }

    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn seq<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

impl<'de: 'a, 'a> Lenient<'de> for Text<'a> {
    fn text(text: Cow<'de, str>) -> Self {
        Self(text)
    }
}

impl Lenient<'_> for Flag {
    fn flag(flag: bool) -> Self {
        Self(flag)
    }
}

impl Lenient<'_> for Number {
    fn number(number: Number) -> Self {
        number
    }
}

impl<'de, T: Deserialize<'de>> Lenient<'de> for Object<T> {
    fn map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| Self(Some(object)))
    }
}

impl<'de, T: Deserialize<'de>> Lenient<'de> for List<T> {
    fn seq<A: SeqAccess<'de>>(seq: A) -> Result<Self, A::Error> {
        objects(seq).map(Self)
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Lenient<'de> for Content<'a, T> {
    fn text(text: Cow<'de, str>) -> Self {
        Self::Text(text)
    }

    fn seq<A: SeqAccess<'de>>(seq: A) -> Result<Self, A::Error> {
        objects(seq).map(Self::Blocks)
    }
}

fn objects<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(mut seq: A) -> Result<Vec<T>, A::Error> {
    let mut objects = Vec::new();
    while let Some(Object(object)) = seq.next_element()? {
        objects.extend(object);
    }
    Ok(objects)
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Lenient<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<T, E> {
        Ok(T::flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::number(u64::try_from(number).map_or(Number::Negative(number), Number::Whole)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::number(Number::Whole(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok(T::number(Number::Float(number)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        T::seq(seq)
    }
}

macro_rules! deserialize_any {
    ($([$($param:tt)*] $type:ty;)*) => {$(
        impl<$($param)*> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Any(PhantomData))
            }
        }
    )*};
}

deserialize_any! {
    ['de: 'a, 'a] Text<'a>;
    ['de] Flag;
    ['de] Number;
    ['de, T: Deserialize<'de>] Object<T>;
    ['de, T: Deserialize<'de>] List<T>;
    ['de: 'a, 'a, T: Deserialize<'de>] Content<'a, T>;
}

#[cfg(test)]
mod tests;

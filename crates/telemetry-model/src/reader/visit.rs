//! Serde visitors that split a document into raw values.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Reader, TWICE};
use crate::errors::step;

impl<'j> Visitor<'j> for &mut Reader<'j> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key(self.keys.names))? {
            match key {
                Ok(index) => {
                    if self.values[index].replace(map.next_value()?).is_some() {
                        self.errors.add(&step(self.keys.names[index]), TWICE);
                    }
                }
                Err(unknown) => {
                    map.next_value::<IgnoredAny>()?;
                    let message = format!("expected no such key in {}", self.keys.source);
                    self.errors.add(&unknown, message);
                }
            }
        }
        Ok(())
    }
}

/// Reads a key: the index of a known one, or the pointer to an unknown one.
struct Key(&'static [&'static str]);

impl<'j> DeserializeSeed<'j> for Key {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == key).ok_or_else(|| step(key)))
    }
}

/// Reads the first `.0` items of an array and counts all.
pub(super) struct Items(pub(super) usize);

impl<'j> Visitor<'j> for Items {
    type Value = (Vec<&'j RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.0 {
            let Some(item) = seq.next_element()? else {
                let count = items.len();
                return Ok((items, count));
            };
            items.push(item);
        }
        let mut count = items.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((items, count))
    }
}

/// Reads all members of an object in order, including repeated keys.
pub(super) struct Members;

impl<'j> Visitor<'j> for Members {
    type Value = Vec<(String, &'j RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

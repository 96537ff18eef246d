//! Lenient deserialization of counts.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Maximum of every count: integers are signed on the wire.
pub(crate) const MAX_COUNT: u64 = i64::MAX as u64;

/// Largest integer up to which every integer has its own `f64`.
const EXACT: f64 = 9_007_199_254_740_991.0;

/// A count that may be written as a float, like JSON Schema's integers (`2.0`, `2e3`), as long as the
/// float identifies a single integer.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count(pub(crate) u64);

impl From<Count> for u64 {
    fn from(count: Count) -> Self {
        count.0
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer, 0 or above")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Count, E> {
                Ok(Count(number))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
                let count = u64::try_from(number).map(Count);
                count.map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
                if number.fract() == 0.0 && (0.0..=EXACT).contains(&number) {
                    return Ok(Count(number as u64));
                }
                Err(E::invalid_value(Unexpected::Float(number), &self))
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integral_floats_are_counts_if_exact() {
        for (expected, all) in [
            (Some(0), "0 -0 -0.0"),
            (Some(25), "25 25.0 2.50e1"),
            (Some((1 << 53) - 1), "9007199254740991.0"),
            (Some(u64::MAX), "18446744073709551615"),
            (None, "-1 -1.0 0.5 1e-300 9007199254740993.0 1e300 \"2\" null"),
        ] {
            for json in all.split(' ') {
                let value: serde_json::Value = serde_json::from_str(json).unwrap();
                for read in [serde_json::from_str(json), serde_json::from_value(value)] {
                    assert_eq!(read.ok().map(|Count(count)| count), expected, "{json}");
                }
            }
        }
    }
}

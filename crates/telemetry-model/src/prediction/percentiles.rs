//! Percentiles of tokens, cost and duration.

use std::{collections::BTreeMap, ops::Bound};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

#[cfg(feature = "schemars")]
use crate::schema;

const MEDIAN: &str = "median";

/// Percentiles of a token count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct TokenDistribution {
    /// 10th percentile.
    pub p10: f64,
    /// 25th percentile.
    pub p25: f64,
    /// Median.
    pub median: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 90th percentile.
    pub p90: f64,
}

impl TokenDistribution {
    /// Creates a distribution from its quantile function, which gets 0.1, 0.25, 0.5, 0.75 and 0.9.
    pub fn from_fn(percentile: impl Fn(f64) -> f64) -> Self {
        let [p10, p25, median, p75, p90] = [0.10, 0.25, 0.50, 0.75, 0.90].map(percentile);
        Self { p10, p25, median, p75, p90 }
    }

    /// Returns the percentile named `p10`, `p25`, `median` (or `p50`), `p75` or `p90`.
    #[must_use]
    pub fn percentile(&self, name: &str) -> Option<f64> {
        match name {
            "p10" => Some(self.p10),
            "p25" => Some(self.p25),
            MEDIAN | "p50" => Some(self.median),
            "p75" => Some(self.p75),
            "p90" => Some(self.p90),
            _ => None,
        }
    }
}

/// A median and any other named percentiles.
///
/// Serializes as a map from names to numbers. Deserialization ignores `null` values and fails without a
/// `median`.
///
/// ```
/// use telemetry_model::Percentiles;
///
/// let cost = Percentiles::new(4_950.0).with("p90", 9_120.0);
/// assert_eq!(cost.median(), 4_950.0);
/// assert_eq!(cost.percentile("p90"), Some(9_120.0));
/// assert_eq!(cost.percentile("p99"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Percentiles {
    median: f64,
    /// Never contains `median`.
    others: BTreeMap<String, f64>,
}

impl Percentiles {
    /// Creates percentiles with a median only.
    #[must_use]
    pub const fn new(median: f64) -> Self {
        Self { median, others: BTreeMap::new() }
    }

    /// Adds or replaces a percentile.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: f64) -> Self {
        let name = name.into();
        if name == MEDIAN {
            self.median = value;
        } else {
            self.others.insert(name, value);
        }
        self
    }

    /// Converts a map, if it has a `median`.
    pub(super) fn from_map(mut map: BTreeMap<String, f64>) -> Option<Self> {
        map.remove(MEDIAN).map(|median| Self { median, others: map })
    }

    /// Returns the median.
    #[must_use]
    pub const fn median(&self) -> f64 {
        self.median
    }

    /// Returns the percentile of the given name. `p50` is the median unless it is set separately.
    #[must_use]
    pub fn percentile(&self, name: &str) -> Option<f64> {
        match self.others.get(name) {
            None if name == MEDIAN || name == "p50" => Some(self.median),
            other => other.copied(),
        }
    }

    /// Returns all names and values, including `median`, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        let before = self.others.range::<str, _>((Bound::Unbounded, Bound::Excluded(MEDIAN)));
        let after = self.others.range::<str, _>((Bound::Excluded(MEDIAN), Bound::Unbounded));
        before.map(entry).chain([(MEDIAN, self.median)]).chain(after.map(entry))
    }
}

impl Serialize for Percentiles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Percentiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
        let map = map.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Self::from_map(map).ok_or_else(|| D::Error::missing_field(MEDIAN))
    }
}

fn entry<'a>((name, value): (&'a String, &f64)) -> (&'a str, f64) {
    (name, *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_found_by_name() {
        let percentiles = Percentiles::new(2.0).with("p90", 4.0).with("a", 1.0).with("p50", 3.0);
        let listed: Vec<_> = percentiles.iter().collect();
        assert_eq!(listed, [("a", 1.0), ("median", 2.0), ("p50", 3.0), ("p90", 4.0)]);
        for (name, value) in listed {
            assert_eq!(percentiles.percentile(name), Some(value));
        }
        assert_eq!(percentiles.percentile("p99"), None);
        assert_eq!(Percentiles::new(2.0).percentile("p50"), Some(2.0));
        assert_eq!(Percentiles::new(2.0).with("median", 5.0), Percentiles::new(5.0));

        let tokens = TokenDistribution::from_fn(|share| share);
        let named = ["p10", "p25", "median", "p50", "p75", "p90"].map(|it| tokens.percentile(it));
        assert_eq!(named, [0.1, 0.25, 0.5, 0.5, 0.75, 0.9].map(Some));
        assert_eq!(tokens.percentile("p99"), None);
    }

    #[test]
    fn serialized_map_is_flat_and_requires_a_median() {
        let percentiles = Percentiles::new(4950.0).with("p99", 7.5);
        let json = serde_json::to_string(&percentiles).unwrap();
        assert_eq!(json, r#"{"median":4950.0,"p99":7.5}"#);
        assert_eq!(serde_json::from_str::<Percentiles>(&json).unwrap(), percentiles);
        for json in [r#"{"p50":3}"#, r#"{"median":null}"#] {
            let error = serde_json::from_str::<Percentiles>(json).unwrap_err();
            assert!(error.to_string().starts_with("missing field `median`"), "{error}");
        }
        assert!(serde_json::from_str::<Percentiles>(r#"{"median":"3"}"#).is_err());
    }
}

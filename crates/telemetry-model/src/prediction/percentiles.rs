//! Percentiles of tokens, cost and duration.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

#[cfg(feature = "schemars")]
use crate::schema;

const MEDIAN: &str = "median";

/// Percentiles of a token count; `None` where the server has not sent one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct TokenDistribution {
    /// 10th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemars", schemars(with = "f64", required))]
    pub p10: Option<f64>,
    /// 25th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemars", schemars(with = "f64", required))]
    pub p25: Option<f64>,
    /// Median.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemars", schemars(with = "f64", required))]
    pub median: Option<f64>,
    /// 75th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemars", schemars(with = "f64", required))]
    pub p75: Option<f64>,
    /// 90th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemars", schemars(with = "f64", required))]
    pub p90: Option<f64>,
}

impl TokenDistribution {
    /// Creates a distribution from its quantile function, which gets 0.1, 0.25, 0.5, 0.75 and 0.9.
    pub fn from_fn(percentile: impl Fn(f64) -> f64) -> Self {
        let shares = [0.10, 0.25, 0.50, 0.75, 0.90];
        let [p10, p25, median, p75, p90] = shares.map(|share| Some(percentile(share)));
        Self { p10, p25, median, p75, p90 }
    }

    /// Returns the percentile named `p10`, `p25`, `median` (or `p50`), `p75` or `p90`.
    #[must_use]
    pub fn percentile(&self, name: &str) -> Option<f64> {
        match name {
            "p10" => self.p10,
            "p25" => self.p25,
            MEDIAN | "p50" => self.median,
            "p75" => self.p75,
            "p90" => self.p90,
            _ => None,
        }
    }
}

/// Percentiles by name; servers send at least the `median`.
///
/// Serializes as a map from names to numbers. Deserialization ignores `null` values.
///
/// ```
/// use telemetry_model::Percentiles;
///
/// let cost = Percentiles::new(4_950.0).with("p90", 9_120.0);
/// assert_eq!(cost.median(), Some(4_950.0));
/// assert_eq!(cost.percentile("p90"), Some(9_120.0));
/// assert_eq!(cost.percentile("p99"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Percentiles(BTreeMap<String, f64>);

impl Percentiles {
    /// Creates percentiles with a median only.
    #[must_use]
    pub fn new(median: f64) -> Self {
        Self::default().with(MEDIAN, median)
    }

    /// Adds or replaces a percentile.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: f64) -> Self {
        self.0.insert(name.into(), value);
        self
    }

    /// Converts a map, if it has a `median`.
    pub(super) fn from_map(map: BTreeMap<String, f64>) -> Option<Self> {
        map.contains_key(MEDIAN).then_some(Self(map))
    }

    /// Returns the median, if the server has sent it.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        self.0.get(MEDIAN).copied()
    }

    /// Returns the percentile of the given name. `p50` is the median unless it is set separately.
    #[must_use]
    pub fn percentile(&self, name: &str) -> Option<f64> {
        let value = self.0.get(name).copied();
        value.or_else(|| self.median().filter(|_| name == "p50"))
    }

    /// Returns all names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl<'de> Deserialize<'de> for Percentiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
        Ok(Self(map.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()))
    }
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
    fn serialized_map_is_flat() {
        let percentiles = Percentiles::new(4950.0).with("p99", 7.5);
        let json = serde_json::to_string(&percentiles).unwrap();
        assert_eq!(json, r#"{"median":4950.0,"p99":7.5}"#);
        assert_eq!(serde_json::from_str::<Percentiles>(&json).unwrap(), percentiles);
        assert!(serde_json::from_str::<Percentiles>(r#"{"median":"3"}"#).is_err());
    }
}

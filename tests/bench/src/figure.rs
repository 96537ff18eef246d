//! What a section of the benchmarks found: the interface between those that measure and the report.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

/// One metric of one subject in one case, lower being better.
///
/// The n-th value of every subject of a case was taken in the same round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// `hand-over`, `queue`, `delivery`, `encoding`, `start-stop` or `embedding`.
    pub section: String,
    /// What was done, such as `prebuilt, full, 8 threads`.
    pub case: String,
    /// Who did it.
    pub subject: String,
    /// What was measured, such as `p99.9`.
    pub metric: String,
    /// The unit of the values, or nothing.
    pub unit: String,
    /// A value for each round.
    pub rounds: Vec<f64>,
}

impl Figure {
    /// A figure of these names and rounds.
    #[must_use]
    pub fn new(
        section: &str,
        case: &str,
        subject: &str,
        metric: &str,
        unit: &str,
        rounds: Vec<f64>,
    ) -> Self {
        let [section, case, subject, metric, unit] =
            [section, case, subject, metric, unit].map(str::to_owned);
        Self { section, case, subject, metric, unit, rounds }
    }

    /// Whether it counts what is rare: a round may have none, and the next one many.
    #[must_use]
    pub fn is_rare(&self) -> bool {
        self.unit == "per million"
    }

    /// The middle of the rounds; of what is rare, their mean. NaN if there is none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    pub fn value(&self) -> f64 {
        if self.is_rare() {
            return self.rounds.iter().sum::<f64>() / self.rounds.len() as f64;
        }
        median(&self.rounds)
    }

    /// Writes the figure as a line of JSON.
    ///
    /// # Errors
    ///
    /// What writing fails with.
    pub fn print(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut out, self)?;
        out.write_all(b"\n")
    }
}

/// The middle of the values, the mean of the two in the middle if there are two, or NaN if there is
/// none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match (values.len() / 2, values.len() % 2) {
        (_, _) if values.is_empty() => f64::NAN,
        (middle, 1) => values[middle],
        (middle, _) => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rare_is_counted_over_all_rounds() {
        let rounds = vec![0.0, 0.0, 3.0];
        let stalls = Figure::new("queue", "", "", "stalls", "per million", rounds);
        assert_eq!(stalls.value(), 1.0);
        assert_eq!(Figure { unit: "ns".into(), ..stalls }.value(), 0.0);
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}

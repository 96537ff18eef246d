//! Predicted medians as whole numbers.

use serde::{Deserialize, Serialize};

use crate::{CorrectionFactors, PredictionData, TaskCompletionEvent};

/// Estimated resource use of a task, from [`PredictionData::estimate`] for
/// [`EventBuilder::estimate`].
///
/// [`EventBuilder::estimate`]: crate::EventBuilder::estimate
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Cost in microdollars (1 USD = 1,000,000).
    pub cost_usd_micros: u64,
    /// Duration in milliseconds.
    pub duration_ms: u64,
}

impl PredictionData {
    /// Returns the medians, rounded and clamped to 0 to [`TaskCompletionEvent::MAX_COUNT`]. NaN and
    /// absent medians become 0.
    ///
    /// ```
    /// use telemetry_model::{Percentiles, PredictionData};
    ///
    /// let mut data = PredictionData::default();
    /// data.input_tokens.median = Some(112_340.5);
    /// data.cost_usd_micros = Percentiles::new(919_200.0);
    /// let estimate = data.estimate();
    /// assert_eq!((estimate.input_tokens, estimate.cost_usd_micros), (112_341, 919_200));
    /// ```
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let count = |median: Option<f64>| median.map_or(0, whole);
        Estimate {
            input_tokens: count(self.input_tokens.median),
            output_tokens: count(self.output_tokens.median),
            cost_usd_micros: count(self.cost_usd_micros.median()),
            duration_ms: count(self.duration_ms.median()),
        }
    }
}

impl Estimate {
    /// Multiplies the token counts by their correction factors. Cost and duration have none and are
    /// unchanged.
    ///
    /// Intended for your own estimates: [`PredictionData::estimate`] is based on actual use. Factors
    /// are assumed to be ratios of actual to estimated tokens; no public source defines them.
    ///
    /// ```
    /// use telemetry_model::{CorrectionFactors, Estimate};
    ///
    /// let mine = Estimate { input_tokens: 100_000, ..Estimate::default() };
    /// assert_eq!(mine.corrected(CorrectionFactors::new(1.25, 1.0)).input_tokens, 125_000);
    /// ```
    #[must_use]
    pub fn corrected(self, factors: CorrectionFactors) -> Self {
        Self {
            input_tokens: whole(self.input_tokens as f64 * factors.input),
            output_tokens: whole(self.output_tokens as f64 * factors.output),
            ..self
        }
    }
}

/// Returns the nearest count. Negative numbers and NaN convert to 0.
fn whole(number: f64) -> u64 {
    (number.round() as u64).min(TaskCompletionEvent::MAX_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Percentiles;

    #[test]
    fn estimate_is_the_medians_and_correction_applies_to_tokens() {
        let mut data = PredictionData::default();
        data.input_tokens.median = Some(1000.4);
        data.output_tokens.median = Some(300.5);
        data.cost_usd_micros = Percentiles::new(4950.0).with("p90", 9.0);
        data.duration_ms = Percentiles::new(1500.0);
        let estimate = Estimate {
            input_tokens: 1000,
            output_tokens: 301,
            cost_usd_micros: 4950,
            duration_ms: 1500,
        };
        assert_eq!(data.estimate(), estimate);
        assert_eq!(estimate.corrected(CorrectionFactors::default()), estimate);
        let corrected = Estimate { input_tokens: 1250, output_tokens: 151, ..estimate };
        assert_eq!(estimate.corrected(CorrectionFactors::new(1.25, 0.5)), corrected);
    }

    #[test]
    fn estimates_are_rounded_and_clamped_to_counts() {
        const MAX: u64 = TaskCompletionEvent::MAX_COUNT;
        for (number, count) in [
            (0.5, 1),
            (0.49, 0),
            (-0.5, 0),
            (-7.0, 0),
            (f64::NAN, 0),
            (f64::NEG_INFINITY, 0),
            (f64::INFINITY, MAX),
            (MAX as f64, MAX),
        ] {
            assert_eq!(whole(number), count, "{number}");
        }
    }
}

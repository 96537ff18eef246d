//! Arguments of the setters that set several fields. Deserialization defaults absent fields.

use serde::{Deserialize, Serialize};

use crate::{QualityGate, TaskCompletionEvent, Usage, usd};

/// Token counts of a task; 0 by default.
///
/// Input is all that the model read, cached or not, and output includes reasoning: see
/// [`Usage`], which computes both from the counts of a provider.
///
/// ```
/// use telemetry_model::Tokens;
///
/// let tokens = Tokens { actual_in: 112_340, actual_out: 38_760, ..Tokens::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Input tokens estimated before the task.
    pub estimated_in: u64,
    /// Output tokens estimated before the task.
    pub estimated_out: u64,
    /// Input tokens consumed, cached or not.
    pub actual_in: u64,
    /// Output tokens generated, with reasoning.
    pub actual_out: u64,
}

impl From<Usage> for Tokens {
    /// The actual counts, with estimates of 0.
    fn from(usage: Usage) -> Self {
        Self { actual_in: usage.total_input(), actual_out: usage.total_output(), ..Self::default() }
    }
}

/// Cost of a task in microdollars (1 USD = 1,000,000); 0 by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// Cost estimated before the task.
    pub estimated: u64,
    /// Actual cost.
    pub actual: u64,
}

impl Cost {
    /// Creates an actual cost from US dollars, rounded half up to microdollars from the shortest decimal
    /// notation of `usd`.
    ///
    /// Negative numbers and NaN become 0; large ones and infinity become
    /// [`TaskCompletionEvent::MAX_COUNT`].
    ///
    /// ```
    /// use telemetry_model::Cost;
    ///
    /// assert_eq!(Cost::from_usd(0.57).actual, 570_000);
    /// ```
    #[must_use]
    pub fn from_usd(usd: f64) -> Self {
        let actual = usd::scaled(usd, 6).min(TaskCompletionEvent::MAX_COUNT);
        Self { actual, estimated: 0 }
    }
}

/// Quality gates of a task; by default none ran and the result is not passed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// `true` if the gates passed.
    pub passed: bool,
    /// Gates that ran.
    pub gates_run: Vec<QualityGate>,
    /// Gates that failed.
    pub gates_failed: Vec<QualityGate>,
}

/// Use of the model's context window; 0 by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContextWindow {
    /// Number of context compactions.
    pub compactions: u64,
    /// Number of context rotations.
    pub rotations: u64,
    /// Share in use at the end, from 0.0 to 1.0.
    pub utilization: f64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_of_usage_are_its_totals() {
        let tokens = Tokens::from(Usage::openai(2_006, 1_920, 300, 256));
        assert_eq!(tokens, Tokens { actual_in: 2_006, actual_out: 300, ..Tokens::default() });
    }

    #[test]
    fn cost_from_dollars_is_rounded_and_bounded() {
        let max = TaskCompletionEvent::MAX_COUNT;
        for (usd, actual) in [(0.919_200_5, 919_201), (f64::NAN, 0), (-1.0, 0), (1e300, max)] {
            assert_eq!(Cost::from_usd(usd), Cost { actual, estimated: 0 }, "{usd}");
        }
    }

    #[test]
    fn absent_fields_have_defaults() {
        let cost = serde_json::from_value::<Cost>(json!({"actual": 2})).unwrap();
        assert_eq!(cost, Cost { actual: 2, ..Cost::default() });
        assert_eq!(serde_json::from_str::<Tokens>("{}").unwrap(), Tokens::default());
        assert_eq!(serde_json::from_str::<Quality>("{}").unwrap(), Quality::default());
        assert_eq!(serde_json::from_str::<ContextWindow>("{}").unwrap(), ContextWindow::default());
    }
}

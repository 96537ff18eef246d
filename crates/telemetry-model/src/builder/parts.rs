//! Arguments of the setters that set several fields. Deserialization defaults absent fields.

use serde::{Deserialize, Serialize};

use crate::QualityGate;

/// Token counts of a task; 0 by default.
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
    /// Input tokens consumed.
    pub actual_in: u64,
    /// Output tokens generated.
    pub actual_out: u64,
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
    fn absent_fields_have_defaults() {
        let cost = serde_json::from_value::<Cost>(json!({"actual": 2})).unwrap();
        assert_eq!(cost, Cost { actual: 2, ..Cost::default() });
        assert_eq!(serde_json::from_str::<Tokens>("{}").unwrap(), Tokens::default());
        assert_eq!(serde_json::from_str::<Quality>("{}").unwrap(), Quality::default());
        assert_eq!(serde_json::from_str::<ContextWindow>("{}").unwrap(), ContextWindow::default());
    }
}

//! What the builder's setters take where they take more than one value. Read from
//! JSON, what is absent has its default.

use serde::{Deserialize, Serialize};

use crate::QualityGate;

/// Token counts of a task; what is not named is 0.
///
/// ```
/// use telemetry_model::Tokens;
///
/// let tokens = Tokens { actual_in: 112_340, actual_out: 38_760, ..Tokens::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Input tokens, as estimated before the task.
    pub estimated_in: u64,
    /// Output tokens, as estimated before the task.
    pub estimated_out: u64,
    /// Input tokens consumed.
    pub actual_in: u64,
    /// Output tokens generated.
    pub actual_out: u64,
}

/// The cost of a task in microdollars (1 USD = 1,000,000); what is not named is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// As estimated before the task.
    pub estimated: u64,
    /// As it was.
    pub actual: u64,
}

/// The quality gates of a task; by default none ran and they were not passed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// Whether the gates were passed.
    pub passed: bool,
    /// The gates that ran.
    pub gates_run: Vec<QualityGate>,
    /// Those of them that failed.
    pub gates_failed: Vec<QualityGate>,
}

/// The use of the model's context window; what is not named is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContextWindow {
    /// How often the context was compacted.
    pub compactions: u64,
    /// How often the context was rotated.
    pub rotations: u64,
    /// The share in use at the end, 0.0 to 1.0.
    pub utilization: f64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_survive_json_and_have_defaults() {
        let tokens = Tokens { actual_in: 3, ..Tokens::default() };
        assert_eq!(serde_json::from_value::<Tokens>(json!({"actual_in": 3})).unwrap(), tokens);
        assert_eq!(serde_json::from_value::<Tokens>(json!(tokens)).unwrap(), tokens);
        let cost = Cost { estimated: 1, actual: 2 };
        assert_eq!(serde_json::from_value::<Cost>(json!(cost)).unwrap(), cost);
        assert_eq!(serde_json::from_str::<Cost>("{}").unwrap(), Cost::default());
        let gates = vec![QualityGate::Lint, "fuzz".into()];
        let quality = Quality { passed: true, gates_run: gates, gates_failed: vec![] };
        let json = json!({"passed": true, "gates_run": ["lint", "fuzz"]});
        assert_eq!(serde_json::from_value::<Quality>(json).unwrap(), quality);
        assert_eq!(serde_json::from_value::<Quality>(json!(quality)).unwrap(), quality);
        let context = ContextWindow { compactions: 1, rotations: 2, utilization: 0.3 };
        assert_eq!(serde_json::from_value::<ContextWindow>(json!(context)).unwrap(), context);
        assert_eq!(serde_json::from_str::<ContextWindow>("{}").unwrap(), ContextWindow::default());
    }
}

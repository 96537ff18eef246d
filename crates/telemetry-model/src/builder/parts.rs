//! What the builder's setters take where they take more than one value.

use crate::QualityGate;

/// Token counts of a task; what is not named is 0.
///
/// ```
/// use telemetry_model::Tokens;
///
/// let tokens = Tokens { actual_in: 112_340, actual_out: 38_760, ..Tokens::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// As estimated before the task.
    pub estimated: u64,
    /// As it was.
    pub actual: u64,
}

/// The quality gates of a task; by default none ran and they were not passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Whether the gates were passed.
    pub passed: bool,
    /// The gates that ran.
    pub gates_run: Vec<QualityGate>,
    /// Those of them that failed.
    pub gates_failed: Vec<QualityGate>,
}

/// The use of the model's context window; what is not named is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ContextWindow {
    /// How often the context was compacted.
    pub compactions: u64,
    /// How often the context was rotated.
    pub rotations: u64,
    /// The share in use at the end, 0.0 to 1.0.
    pub utilization: f64,
}

//! What the server can be asked before a task.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schemars")]
use crate::schema;
use crate::{Complexity, Provider, TaskType};

/// The four dimensions that a prediction is asked for.
///
/// ```
/// use telemetry_model::{Complexity, PredictionQuery, Provider, TaskType};
///
/// let query = PredictionQuery::new(
///     TaskType::Implementation,
///     "claude-sonnet-4-5-20250929",
///     Provider::Anthropic,
///     Complexity::Medium,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct PredictionQuery {
    /// What kind of work the task is.
    pub task_type: TaskType,
    /// The model's name as its provider writes it.
    #[cfg_attr(feature = "schemars", schemars(length(min = 1, max = crate::MAX_TEXT_CHARS)))]
    pub model: String,
    /// Who serves the model.
    pub provider: Provider,
    /// How hard the task is thought to be.
    pub complexity: Complexity,
}

impl PredictionQuery {
    /// Names the four dimensions.
    pub fn new(
        task_type: impl Into<TaskType>,
        model: impl Into<String>,
        provider: impl Into<Provider>,
        complexity: impl Into<Complexity>,
    ) -> Self {
        Self {
            task_type: task_type.into(),
            model: model.into(),
            provider: provider.into(),
            complexity: complexity.into(),
        }
    }
}

/// The body of `POST /v1/predictions/batch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct PredictionRequest {
    /// The queries; answers come in their order.
    #[cfg_attr(feature = "schemars", schemars(length(max = PredictionRequest::MAX_QUERIES)))]
    pub queries: Vec<PredictionQuery>,
}

impl PredictionRequest {
    /// The most queries in one request. An assumption: no public source states a limit.
    pub const MAX_QUERIES: usize = 50;

    /// Asks all of `queries`.
    #[must_use]
    pub const fn new(queries: Vec<PredictionQuery>) -> Self {
        Self { queries }
    }
}

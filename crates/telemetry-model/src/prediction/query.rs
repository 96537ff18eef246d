//! Prediction requests.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schemars")]
use crate::schema;
use crate::{Complexity, Provider, TaskType, field::Field};

/// Dimensions of a prediction.
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
    /// Kind of work.
    pub task_type: TaskType,
    /// Model name, as the provider spells it.
    #[cfg_attr(feature = "schemars", schemars(length(min = 1, max = crate::MAX_TEXT_CHARS)))]
    pub model: String,
    /// Provider that serves the model.
    pub provider: Provider,
    /// Estimated difficulty of the task.
    pub complexity: Complexity,
}

impl PredictionQuery {
    /// Creates a query.
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

/// Request body of `POST /v1/predictions/batch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
#[non_exhaustive]
pub struct PredictionRequest {
    /// Queries, in the order of the results.
    #[cfg_attr(feature = "schemars", schemars(length(max = PredictionRequest::MAX_QUERIES)))]
    pub queries: Vec<PredictionQuery>,
}

impl PredictionRequest {
    /// Maximum number of queries in one request. An assumption: no public source states a limit.
    pub const MAX_QUERIES: usize = 50;

    /// Creates a request body. Text is moved into its range as by
    /// [`EventBuilder::build`](crate::EventBuilder::build): a query gets the prediction for the events
    /// that are built from it, and one unusable query does not make a server refuse the others.
    ///
    /// ```
    /// use telemetry_model::{Complexity, PredictionQuery, PredictionRequest, Provider, TaskType};
    ///
    /// let query = PredictionQuery::new(TaskType::Testing, "", Provider::Ollama, Complexity::Low);
    /// assert_eq!(PredictionRequest::new(vec![query]).queries[0].model, "unknown");
    /// ```
    #[must_use]
    pub fn new(mut queries: Vec<PredictionQuery>) -> Self {
        for PredictionQuery { task_type, model, provider, complexity } in &mut queries {
            task_type.normalize();
            model.normalize();
            provider.normalize();
            complexity.normalize();
        }
        Self { queries }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn request_of_any_queries_is_valid(texts in vec(vec("\\PC{0,3}|.{255,258}", 4), 0..50)) {
            let query = |texts: Vec<String>| {
                let [task_type, model, provider, complexity] = texts.try_into().unwrap();
                PredictionQuery::new(task_type, model, provider, complexity)
            };
            let request = PredictionRequest::new(texts.into_iter().map(query).collect());
            let json = serde_json::to_vec(&request).unwrap();
            prop_assert_eq!(PredictionRequest::from_json(&json), Ok(request));
        }
    }
}

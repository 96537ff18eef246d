//! The fluent way to an event.

mod parts;

use time::OffsetDateTime;
use uuid::Uuid;

pub use self::parts::{ContextWindow, Cost, Quality, Tokens};
use crate::{
    Complexity, Estimate, Harness, Outcome, PredictionQuery, Provider, RepoSizeCategory,
    TaskCompletionEvent, TaskType, ids,
};

/// Builds a [`TaskCompletionEvent`] from defaults that can all be overridden.
///
/// | setter | default |
/// |---|---|
/// | `task_type`, `provider`, `harness` | `unknown` |
/// | `model` | `"unknown"` |
/// | `complexity` | `medium` |
/// | `outcome` | `failure` |
/// | `duration_ms`, `tokens`, `cost`, `estimate`, `context`, `retry_count` | 0 |
/// | `quality` | not passed, no gates |
/// | `language`, `repo_size` | none |
/// | `event_id` | a random UUID |
/// | `timestamp` | now |
///
/// [`build`](Self::build) cannot fail: it brings each value into its range.
///
/// ```
/// use telemetry_model::{EventBuilder, Outcome, Provider, TaskType, Tokens};
/// use uuid::uuid;
///
/// let event = EventBuilder::new(uuid!("12345678-1234-1234-1234-123456789abc"))
///     .task_type(TaskType::Implementation)
///     .model("claude-sonnet-4-5-20250929")
///     .provider(Provider::Anthropic)
///     .outcome(Outcome::Success)
///     .duration_ms(45_000)
///     .tokens(Tokens { actual_in: 112_340, actual_out: 38_760, ..Tokens::default() })
///     .build();
/// assert_eq!(event.validate(), Ok(()));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes an event when `build` is called"]
pub struct EventBuilder {
    event_id: Option<Uuid>,
    timestamp: Option<OffsetDateTime>,
    estimate: Estimate,
    event: TaskCompletionEvent,
}

impl EventBuilder {
    /// Starts an event of the given installation.
    pub fn new(instance_id: Uuid) -> Self {
        Self {
            event_id: None,
            timestamp: None,
            estimate: Estimate::default(),
            event: TaskCompletionEvent { instance_id, ..TaskCompletionEvent::initial() },
        }
    }

    /// Takes task type, model, provider and complexity from a query: the event then counts for the
    /// prediction that was asked for.
    pub fn query(self, query: &PredictionQuery) -> Self {
        self.task_type(query.task_type.clone())
            .model(query.model.as_str())
            .provider(query.provider.clone())
            .complexity(query.complexity.clone())
    }

    /// What kind of work the task was.
    pub fn task_type(mut self, task_type: impl Into<TaskType>) -> Self {
        self.event.task_type = task_type.into();
        self
    }

    /// The model's name as its provider writes it. An empty one becomes `"unknown"`.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.event.model = model.into();
        self
    }

    /// Who served the model.
    pub fn provider(mut self, provider: impl Into<Provider>) -> Self {
        self.event.provider = provider.into();
        self
    }

    /// The tool that drove the model.
    #[doc(alias = "harness_type")]
    pub fn harness(mut self, harness: impl Into<Harness>) -> Self {
        self.event.harness = harness.into();
        self
    }

    /// How hard the task was thought to be.
    #[doc(alias = "complexity_level")]
    pub fn complexity(mut self, complexity: impl Into<Complexity>) -> Self {
        self.event.complexity = complexity.into();
        self
    }

    /// How the task ended.
    #[doc(alias = "outcome_value")]
    pub fn outcome(mut self, outcome: impl Into<Outcome>) -> Self {
        self.event.outcome = outcome.into();
        self
    }

    /// How long the task took, in milliseconds.
    pub fn duration_ms(mut self, milliseconds: u64) -> Self {
        self.event.task_duration_ms = milliseconds;
        self
    }

    /// How long the task took; the part below a millisecond is cut off.
    #[doc(alias = "duration_ms")]
    pub fn duration(self, duration: std::time::Duration) -> Self {
        self.duration_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    /// Token counts, estimated and actual.
    pub fn tokens(mut self, tokens: Tokens) -> Self {
        self.event.estimated_input_tokens = tokens.estimated_in;
        self.event.estimated_output_tokens = tokens.estimated_out;
        self.event.actual_input_tokens = tokens.actual_in;
        self.event.actual_output_tokens = tokens.actual_out;
        self
    }

    /// Cost in microdollars, estimated and actual.
    pub fn cost(mut self, cost: Cost) -> Self {
        self.event.estimated_cost_usd_micros = cost.estimated;
        self.event.actual_cost_usd_micros = cost.actual;
        self
    }

    /// What was expected of the task, as a prediction says.
    ///
    /// Fills those of `estimated_input_tokens`, `estimated_output_tokens` and
    /// `estimated_cost_usd_micros` that [`tokens`](Self::tokens) and [`cost`](Self::cost) leave at 0,
    /// in whatever order they are called. An event has no place for the expected duration.
    ///
    /// ```
    /// use telemetry_model::{Estimate, EventBuilder, Tokens};
    ///
    /// let estimate = Estimate { input_tokens: 105_000, ..Estimate::default() };
    /// let event = EventBuilder::new(uuid::Uuid::nil())
    ///     .estimate(estimate)
    ///     .tokens(Tokens { actual_in: 112_340, ..Tokens::default() })
    ///     .build();
    /// assert_eq!((event.estimated_input_tokens, event.actual_input_tokens), (105_000, 112_340));
    /// ```
    pub fn estimate(mut self, estimate: Estimate) -> Self {
        self.estimate = estimate;
        self
    }

    /// Which quality gates ran, and their result.
    pub fn quality(mut self, quality: Quality) -> Self {
        self.event.quality_gate_passed = quality.passed;
        self.event.quality_gates_run = quality.gates_run;
        self.event.quality_gates_failed = quality.gates_failed;
        self
    }

    /// The use of the context window.
    pub fn context(mut self, context: ContextWindow) -> Self {
        self.event.context_compactions = context.compactions;
        self.event.context_rotations = context.rotations;
        self.event.context_utilization_final = context.utilization;
        self
    }

    /// The programming language.
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.event.language = Some(language.into());
        self
    }

    /// The size of the repository.
    #[doc(alias = "repo_size_category")]
    pub fn repo_size(mut self, size: impl Into<RepoSizeCategory>) -> Self {
        self.event.repo_size_category = Some(size.into());
        self
    }

    /// How often the task was tried again.
    pub fn retry_count(mut self, count: u64) -> Self {
        self.event.retry_count = count;
        self
    }

    /// Replaces the random id.
    pub fn event_id(mut self, id: Uuid) -> Self {
        self.event_id = Some(id);
        self
    }

    /// Replaces the current time. Kept in UTC and whole milliseconds.
    pub fn timestamp(mut self, at: OffsetDateTime) -> Self {
        self.timestamp = Some(at);
        self
    }

    /// Makes the event.
    ///
    /// Cannot fail: counts above [`TaskCompletionEvent::MAX_COUNT`] become it, the utilization is
    /// brought into 0.0 to 1.0 (not a number: 0.0), text is cut after
    /// [`MAX_TEXT_CHARS`](crate::MAX_TEXT_CHARS) characters, empty text becomes the field's default,
    /// empty gates are left out, and a time outside the years 0 to 9999 becomes the nearest inside.
    /// The result always passes [`validate`](TaskCompletionEvent::validate).
    #[must_use]
    pub fn build(self) -> TaskCompletionEvent {
        let Self { event_id, timestamp, estimate, mut event } = self;
        event.event_id = event_id.unwrap_or_else(|| ids::random(now));
        event.timestamp = timestamp.unwrap_or_else(now);
        for (field, expected) in [
            (&mut event.estimated_input_tokens, estimate.input_tokens),
            (&mut event.estimated_output_tokens, estimate.output_tokens),
            (&mut event.estimated_cost_usd_micros, estimate.cost_usd_micros),
        ] {
            if *field == 0 {
                *field = expected;
            }
        }
        event.normalize();
        event
    }
}

#[expect(clippy::disallowed_methods, reason = "the default timestamp is the current time")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};
    use serde_json::json;
    use uuid::uuid;

    use super::*;
    use crate::QualityGate;

    const INSTANCE: Uuid = uuid!("12345678-1234-1234-1234-123456789abc");

    #[test]
    fn the_defaults_are_the_guides() {
        let event = EventBuilder::new(INSTANCE)
            .event_id(uuid!("a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d"))
            .timestamp(OffsetDateTime::UNIX_EPOCH)
            .build();
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            json!({
                "instance_id": "12345678-1234-1234-1234-123456789abc",
                "event_id": "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d",
                "schema_version": "1.0",
                "timestamp": "1970-01-01T00:00:00.000Z",
                "task_duration_ms": 0,
                "task_type": "unknown",
                "complexity": "medium",
                "harness": "unknown",
                "model": "unknown",
                "provider": "unknown",
                "estimated_input_tokens": 0,
                "estimated_output_tokens": 0,
                "actual_input_tokens": 0,
                "actual_output_tokens": 0,
                "estimated_cost_usd_micros": 0,
                "actual_cost_usd_micros": 0,
                "quality_gate_passed": false,
                "quality_gates_run": [],
                "quality_gates_failed": [],
                "context_compactions": 0,
                "context_rotations": 0,
                "context_utilization_final": 0.0,
                "outcome": "failure",
                "retry_count": 0,
                "language": null,
                "repo_size_category": null,
            })
        );
    }

    #[test]
    fn ids_are_random_and_the_time_is_the_current_one() {
        let (one, other) =
            (EventBuilder::new(INSTANCE).build(), EventBuilder::new(INSTANCE).build());
        assert_ne!(one.event_id, other.event_id);
        assert_eq!(one.event_id.get_version_num(), 4);
        assert!(now() - one.timestamp < time::Duration::hours(1));
    }

    #[test]
    fn an_estimate_fills_what_is_not_named() {
        let estimate = Estimate {
            input_tokens: 1,
            output_tokens: 2,
            cost_usd_micros: u64::MAX,
            duration_ms: 4,
        };
        let tokens = Tokens { estimated_out: 20, actual_in: 30, ..Tokens::default() };
        let cost = Cost { actual: 40, ..Cost::default() };
        let estimated = |event: &TaskCompletionEvent| {
            (
                event.estimated_input_tokens,
                event.estimated_output_tokens,
                event.estimated_cost_usd_micros,
                event.actual_input_tokens,
                event.actual_cost_usd_micros,
                event.task_duration_ms,
            )
        };
        let before = EventBuilder::new(INSTANCE).estimate(estimate).tokens(tokens).cost(cost);
        let after = EventBuilder::new(INSTANCE).tokens(tokens).cost(cost).estimate(estimate);
        let expected = (1, 20, TaskCompletionEvent::MAX_COUNT, 30, 40, 0);
        assert_eq!(estimated(&before.build()), expected);
        assert_eq!(estimated(&after.build()), expected);
        let alone = EventBuilder::new(INSTANCE).estimate(estimate).build();
        assert_eq!(estimated(&alone), (1, 2, TaskCompletionEvent::MAX_COUNT, 0, 0, 0));
        let named = EventBuilder::new(INSTANCE)
            .cost(Cost { estimated: 5, actual: 0 })
            .estimate(Estimate::default())
            .build();
        assert_eq!(named.estimated_cost_usd_micros, 5);
    }

    proptest! {
        #[test]
        fn whatever_goes_in_a_valid_event_comes_out(
            words in vec(".{0,300}", 6),
            gates in vec(".{0,300}", 0..5),
            counts in vec(any::<u64>(), 10),
            utilization in prop_oneof![any::<f64>(), 0.0..1.0],
            texts in (option::of(".{0,300}"), ".{0,300}"),
            seconds in -377_705_116_800i64..=253_402_300_799,
        ) {
            let gates: Vec<QualityGate> = gates.into_iter().map(QualityGate::from).collect();
            let mut builder = EventBuilder::new(INSTANCE)
                .task_type(words[0].as_str())
                .provider(words[1].as_str())
                .harness(words[2].as_str())
                .complexity(words[3].as_str())
                .outcome(words[4].as_str())
                .repo_size(words[5].as_str())
                .model(texts.1)
                .duration_ms(counts[0])
                .retry_count(counts[1])
                .tokens(Tokens {
                    estimated_in: counts[2],
                    estimated_out: counts[3],
                    actual_in: counts[4],
                    actual_out: counts[5],
                })
                .cost(Cost { estimated: counts[6], actual: counts[7] })
                .context(ContextWindow { compactions: counts[8], rotations: counts[9], utilization })
                .quality(Quality { passed: true, gates_run: gates.clone(), gates_failed: gates })
                .timestamp(OffsetDateTime::from_unix_timestamp(seconds).unwrap());
            if let Some(language) = texts.0 {
                builder = builder.language(language);
            }
            let event = builder.build();
            prop_assert_eq!(event.validate(), Ok(()));
            let json = serde_json::to_vec(&event).unwrap();
            let read: TaskCompletionEvent = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(&read, &event);
            prop_assert_eq!(TaskCompletionEvent::from_json(&json), Ok(event));
        }
    }
}

//! Builder of events.

mod optional;
mod parts;

use time::OffsetDateTime;
use uuid::Uuid;

use self::optional::optional;
pub use self::{
    optional::IntoOptional,
    parts::{ContextWindow, Cost, Quality, Tokens},
};
use crate::{
    Complexity, Estimate, Harness, Outcome, PredictionQuery, Price, Provider, RepoSizeCategory,
    TaskCompletionEvent, TaskType, Timestamp, Usage, ValidationErrors, ids,
};

/// Builder of a [`TaskCompletionEvent`]. Every setter is optional.
///
/// | setter | default |
/// |---|---|
/// | `task_type`, `provider`, `harness` | `unknown` |
/// | `model` | `"unknown"` |
/// | `complexity` | `medium` |
/// | `outcome` | `failure` |
/// | `duration_ms`, `tokens`, `add_usage`, `cost`, `estimate`, `context`, `retry_count` | 0 |
/// | `quality` | not passed, no gates |
/// | `price`, `language`, `repo_size` | none |
/// | `event_id` | a random UUID |
/// | `timestamp` | now |
///
/// [`build`](Self::build) is infallible: it moves every value into its range.
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
#[must_use = "call `build` to create the event"]
pub struct EventBuilder {
    event_id: Option<Uuid>,
    timestamp: Option<OffsetDateTime>,
    /// In a box: each setter moves the builder, also in programs that set none of them.
    defaults: Option<Box<Defaults>>,
    event: TaskCompletionEvent,
}

/// Values of fields that are left at 0.
#[derive(Clone, Debug, Default)]
struct Defaults {
    estimate: Estimate,
    usage: Usage,
    price: Price,
}

impl EventBuilder {
    /// Creates a builder for an event of the given installation.
    pub fn new(instance_id: Uuid) -> Self {
        Self {
            event_id: None,
            timestamp: None,
            defaults: None,
            event: TaskCompletionEvent { instance_id, ..TaskCompletionEvent::initial() },
        }
    }

    /// Creates a builder for an event of the installation with the given id, a UUID as text.
    ///
    /// # Errors
    ///
    /// The text is not a UUID. The error does not repeat it.
    pub fn try_new(instance_id: &str) -> Result<Self, ValidationErrors> {
        parse_id(instance_id, "/instance_id").map(Self::new)
    }

    /// Sets task type, model, provider and complexity to those of a prediction query, so that the
    /// event contributes to the same prediction.
    pub fn query(self, query: &PredictionQuery) -> Self {
        self.task_type(query.task_type.clone())
            .model(query.model.as_str())
            .provider(query.provider.clone())
            .complexity(query.complexity.clone())
    }

    /// Sets the kind of work.
    pub fn task_type(mut self, task_type: impl Into<TaskType>) -> Self {
        self.event.task_type = task_type.into();
        self
    }

    /// Sets the model name, as the provider spells it. An empty name becomes `"unknown"`.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.event.model = model.into();
        self
    }

    /// Sets the provider that served the model.
    pub fn provider(mut self, provider: impl Into<Provider>) -> Self {
        self.event.provider = provider.into();
        self
    }

    /// Sets the tool that ran the model.
    #[doc(alias = "harness_type")]
    pub fn harness(mut self, harness: impl Into<Harness>) -> Self {
        self.event.harness = harness.into();
        self
    }

    /// Sets the estimated difficulty of the task.
    #[doc(alias = "complexity_level")]
    pub fn complexity(mut self, complexity: impl Into<Complexity>) -> Self {
        self.event.complexity = complexity.into();
        self
    }

    /// Sets the result of the task.
    #[doc(alias = "outcome_value")]
    pub fn outcome(mut self, outcome: impl Into<Outcome>) -> Self {
        self.event.outcome = outcome.into();
        self
    }

    /// Sets the duration of the task, in milliseconds.
    pub fn duration_ms(mut self, milliseconds: u64) -> Self {
        self.event.task_duration_ms = milliseconds;
        self
    }

    /// Sets the duration of the task, truncated to whole milliseconds.
    #[doc(alias = "duration_ms")]
    pub fn duration(self, duration: std::time::Duration) -> Self {
        self.duration_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    /// Sets the estimated and actual token counts. See also [`add_usage`](Self::add_usage).
    pub fn tokens(mut self, tokens: Tokens) -> Self {
        self.event.estimated_input_tokens = tokens.estimated_in;
        self.event.estimated_output_tokens = tokens.estimated_out;
        self.event.actual_input_tokens = tokens.actual_in;
        self.event.actual_output_tokens = tokens.actual_out;
        self
    }

    /// Adds the usage of one or several requests to the actual token counts.
    ///
    /// The sums apply to those of `actual_input_tokens` and `actual_output_tokens` that
    /// [`tokens`](Self::tokens) leaves at 0, whatever the order of calls.
    ///
    /// ```
    /// use telemetry_model::{EventBuilder, Price, Usage};
    ///
    /// let event = EventBuilder::new(uuid::Uuid::nil())
    ///     .price(Price::usd_per_million(3.0, 15.0).cache_read(0.3).cache_write(3.75))
    ///     .add_usage(&Usage::anthropic(5, 0, 128_955, 200))
    ///     .add_usage(&Usage::anthropic(5, 128_955, 1_253, 500))
    ///     .build();
    /// assert_eq!((event.actual_input_tokens, event.actual_output_tokens), (259_173, 700));
    /// assert_eq!(event.actual_cost_usd_micros, 537_497);
    /// ```
    pub fn add_usage(mut self, usage: &Usage) -> Self {
        self.defaults.get_or_insert_default().usage += *usage;
        self
    }

    /// Sets the price of the tokens of [`add_usage`](Self::add_usage). Their cost applies to
    /// `actual_cost_usd_micros` if [`cost`](Self::cost) leaves it at 0.
    pub fn price(mut self, price: Price) -> Self {
        self.defaults.get_or_insert_default().price = price;
        self
    }

    /// Sets the estimated and actual cost, in microdollars.
    pub fn cost(mut self, cost: Cost) -> Self {
        self.event.estimated_cost_usd_micros = cost.estimated;
        self.event.actual_cost_usd_micros = cost.actual;
        self
    }

    /// Sets the estimates from a prediction.
    ///
    /// Applies to those of `estimated_input_tokens`, `estimated_output_tokens` and
    /// `estimated_cost_usd_micros` that [`tokens`](Self::tokens) and [`cost`](Self::cost) leave at 0,
    /// whatever the order of calls. Events have no field for the estimated duration.
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
        self.defaults.get_or_insert_default().estimate = estimate;
        self
    }

    /// Sets the quality gates that ran, and their result. Of each list, the first
    /// [`MAX_ITEMS`](crate::MAX_ITEMS) are kept.
    pub fn quality(mut self, quality: Quality) -> Self {
        self.event.quality_gate_passed = quality.passed;
        self.event.quality_gates_run = quality.gates_run;
        self.event.quality_gates_failed = quality.gates_failed;
        self
    }

    /// Sets the use of the context window.
    pub fn context(mut self, context: ContextWindow) -> Self {
        self.event.context_compactions = context.compactions;
        self.event.context_rotations = context.rotations;
        self.event.context_utilization_final = context.utilization;
        self
    }

    /// Sets the programming language, a text or an `Option` of one.
    pub fn language(mut self, language: impl IntoOptional<String>) -> Self {
        self.event.language = optional(language);
        self
    }

    /// Sets the size of the repository: a [`RepoSizeCategory`], its text, or an `Option` of either.
    #[doc(alias = "repo_size_category")]
    pub fn repo_size(mut self, size: impl IntoOptional<RepoSizeCategory>) -> Self {
        self.event.repo_size_category = optional(size);
        self
    }

    /// Sets the number of retries of the task.
    pub fn retry_count(mut self, count: u64) -> Self {
        self.event.retry_count = count;
        self
    }

    /// Sets the event ID instead of a random one.
    pub fn event_id(mut self, id: Uuid) -> Self {
        self.event_id = Some(id);
        self
    }

    /// Sets the event ID, a UUID as text, instead of a random one.
    ///
    /// # Errors
    ///
    /// The text is not a UUID. The error does not repeat it.
    pub fn try_event_id(self, id: &str) -> Result<Self, ValidationErrors> {
        parse_id(id, "/event_id").map(|id| self.event_id(id))
    }

    /// Sets the completion time instead of the current time: a [`SystemTime`](std::time::SystemTime) or
    /// an [`OffsetDateTime`]; [`Timestamp`] shows those of other crates. Stored in UTC and whole
    /// milliseconds.
    pub fn timestamp(mut self, at: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(at.into().0);
        self
    }

    /// Creates the event.
    ///
    /// The result always passes [`validate`](TaskCompletionEvent::validate), and its JSON
    /// [`from_json`](TaskCompletionEvent::from_json): counts are clamped to
    /// [`TaskCompletionEvent::MAX_COUNT`], the utilization to 0.0 to 1.0 (NaN becomes 0.0) and the
    /// timestamp to the years 0 to 9999; text is truncated to
    /// [`MAX_TEXT_CHARS`](crate::MAX_TEXT_CHARS) characters; empty text becomes the field's default;
    /// empty gates are dropped, as are those after the first [`MAX_ITEMS`](crate::MAX_ITEMS).
    #[must_use]
    pub fn build(self) -> TaskCompletionEvent {
        let Self { event_id, timestamp, defaults, mut event } = self;
        event.event_id = event_id.unwrap_or_else(|| ids::random(now));
        event.timestamp = timestamp.unwrap_or_else(now);
        if let Some(Defaults { estimate, usage, price }) = defaults.as_deref() {
            for (field, default) in [
                (&mut event.estimated_input_tokens, estimate.input_tokens),
                (&mut event.estimated_output_tokens, estimate.output_tokens),
                (&mut event.estimated_cost_usd_micros, estimate.cost_usd_micros),
                (&mut event.actual_input_tokens, usage.total_input()),
                (&mut event.actual_output_tokens, usage.total_output()),
                (&mut event.actual_cost_usd_micros, price.cost_of(usage)),
            ] {
                if *field == 0 {
                    *field = default;
                }
            }
        }
        event.normalize();
        event
    }
}

fn parse_id(text: &str, pointer: &str) -> Result<Uuid, ValidationErrors> {
    Uuid::parse_str(text.trim()).map_err(|_| {
        let found = text.chars().count();
        let message = format!("expected a UUID, found {found} characters in another format");
        ValidationErrors::new(message).below(pointer)
    })
}

#[expect(clippy::disallowed_methods, reason = "the default timestamp is the current time")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::QualityGate;

    fn builder() -> EventBuilder {
        EventBuilder::new(Uuid::from_u128(1))
            .event_id(Uuid::from_u128(2))
            .timestamp(OffsetDateTime::UNIX_EPOCH + Duration::from_micros(1_999))
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let expected = json!({
            "instance_id": Uuid::from_u128(1), "event_id": Uuid::from_u128(2),
            "schema_version": "1.0", "timestamp": "1970-01-01T00:00:00.001Z", "task_duration_ms": 0,
            "task_type": "unknown", "complexity": "medium", "harness": "unknown",
            "model": "unknown", "provider": "unknown",
            "estimated_input_tokens": 0, "estimated_output_tokens": 0,
            "actual_input_tokens": 0, "actual_output_tokens": 0,
            "estimated_cost_usd_micros": 0, "actual_cost_usd_micros": 0,
            "quality_gate_passed": false, "quality_gates_run": [], "quality_gates_failed": [],
            "context_compactions": 0, "context_rotations": 0, "context_utilization_final": 0.0,
            "outcome": "failure", "retry_count": 0, "language": null, "repo_size_category": null,
        });
        assert_eq!(json!(builder().build()), expected);
    }

    #[test]
    fn setters_set_their_fields() {
        let event = builder()
            .query(&PredictionQuery::new("testing", "m", "ollama", "low"))
            .harness("aider")
            .outcome("partial")
            .duration(Duration::from_micros(1_999))
            .tokens(Tokens { estimated_in: 2, estimated_out: 3, actual_in: 4, actual_out: 5 })
            .cost(Cost { estimated: 6, actual: 7 })
            .quality(Quality {
                passed: true,
                gates_run: vec![QualityGate::Lint],
                gates_failed: vec![QualityGate::Test],
            })
            .context(ContextWindow { compactions: 8, rotations: 9, utilization: 0.5 })
            .retry_count(10)
            .language("rust")
            .repo_size("tiny")
            .build();
        let expected = json!({
            "instance_id": Uuid::from_u128(1), "event_id": Uuid::from_u128(2),
            "schema_version": "1.0", "timestamp": "1970-01-01T00:00:00.001Z", "task_duration_ms": 1,
            "task_type": "testing", "complexity": "low", "harness": "aider",
            "model": "m", "provider": "ollama",
            "estimated_input_tokens": 2, "estimated_output_tokens": 3,
            "actual_input_tokens": 4, "actual_output_tokens": 5,
            "estimated_cost_usd_micros": 6, "actual_cost_usd_micros": 7,
            "quality_gate_passed": true, "quality_gates_run": ["lint"], "quality_gates_failed": ["test"],
            "context_compactions": 8, "context_rotations": 9, "context_utilization_final": 0.5,
            "outcome": "partial", "retry_count": 10, "language": "rust", "repo_size_category": "tiny",
        });
        assert_eq!(json!(event), expected);
    }

    #[test]
    fn default_id_is_random_and_default_time_is_now() {
        let [one, other] = [(); 2].map(|()| EventBuilder::new(Uuid::nil()).build());
        assert_ne!(one.event_id, other.event_id);
        assert!(now() - one.timestamp < Duration::from_secs(3600));
    }

    #[test]
    fn estimate_applies_to_fields_left_at_zero_in_any_order() {
        let estimate =
            Estimate { input_tokens: 1, output_tokens: 2, cost_usd_micros: 3, duration_ms: 4 };
        let tokens = Tokens { estimated_out: 20, actual_in: 30, ..Tokens::default() };
        let cost = Cost { actual: 40, ..Cost::default() };
        let mut expected = builder().tokens(tokens).cost(cost).build();
        (expected.estimated_input_tokens, expected.estimated_cost_usd_micros) = (1, 3);
        assert_eq!(builder().estimate(estimate).tokens(tokens).cost(cost).build(), expected);
        assert_eq!(builder().tokens(tokens).cost(cost).estimate(estimate).build(), expected);
    }

    #[test]
    fn usage_adds_up_and_is_priced_unless_tokens_and_cost_are_set() {
        let price = Price::usd_per_million(3.0, 15.0).cache_read(0.3).cache_write(3.75);
        let usage = Usage::anthropic(5, 128_955, 1_253, 500);
        let add = |builder: EventBuilder| builder.add_usage(&usage).add_usage(&usage);
        let actual = |event: TaskCompletionEvent| {
            (event.actual_input_tokens, event.actual_output_tokens, event.actual_cost_usd_micros)
        };
        assert_eq!(actual(add(builder()).build()), (260_426, 1_000, 0));
        // Twice 50,900.25, rounded once.
        assert_eq!(actual(add(builder()).price(price).build()), (260_426, 1_000, 101_801));
        let tokens = Tokens { actual_in: 1, ..Tokens::default() };
        let cost = Cost { actual: 2, ..Cost::default() };
        for builder in [
            add(builder()).price(price).tokens(tokens).cost(cost),
            add(builder().tokens(tokens).cost(cost).price(price)),
        ] {
            assert_eq!(actual(builder.build()), (1, 1_000, 2));
        }
    }

    #[test]
    fn ids_are_parsed_and_not_repeated_in_errors() {
        let id = Uuid::from_u128(7);
        let event = EventBuilder::try_new(&id.simple().to_string()).unwrap();
        let event = event.try_event_id(&format!(" {id}\n")).unwrap().build();
        assert_eq!((event.instance_id, event.event_id), (id, id));
        let errors = [
            EventBuilder::try_new("a secret").unwrap_err(),
            builder().try_event_id("a secret").unwrap_err(),
        ];
        let reason = "expected a UUID, found 8 characters in another format";
        assert_eq!(errors[0].to_string(), format!("/instance_id: {reason}"));
        assert_eq!(errors[1].to_string(), format!("/event_id: {reason}"));
    }

    #[test]
    fn optional_fields_are_set_from_values_and_options() {
        let builders = [
            builder().language("rust").repo_size("tiny"),
            builder().language(String::from("rust")).repo_size(String::from("tiny")),
            builder().language(Some("rust")).repo_size(RepoSizeCategory::Tiny),
            builder().language(Some(String::from("rust"))).repo_size(Some(RepoSizeCategory::Tiny)),
            builder().language("rust").repo_size(Some("tiny")),
        ];
        for builder in builders {
            let event = builder.clone().build();
            assert_eq!(event.language.as_deref(), Some("rust"));
            assert_eq!(event.repo_size_category, Some(RepoSizeCategory::Tiny));
            let event = builder.language(None::<&str>).repo_size(None::<RepoSizeCategory>).build();
            assert_eq!((event.language, event.repo_size_category), (None, None));
        }
    }

    #[test]
    fn build_moves_values_into_their_ranges() {
        let event = builder().duration_ms(u64::MAX).model("").build();
        assert_eq!(event.task_duration_ms, TaskCompletionEvent::MAX_COUNT);
        assert_eq!(event.model, "unknown");
    }
}

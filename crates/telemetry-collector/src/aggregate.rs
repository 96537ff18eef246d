//! Predictions from the events held.
//!
//! A [`Sample`] is gathered under the lock of the store and evaluated without it. A database reads the
//! [`Summary`] that results.

use telemetry_model::{
    Confidence, CorrectionFactors, FallbackLevel, Outcome, PredictionData, PredictionMetadata,
    PredictionQuery, PredictionResponse, QualityPrediction, TaskCompletionEvent, TokenDistribution,
};

use crate::percentiles::{distribution, named};

/// The number of fallback levels. Level 0 matches all dimensions; 1 to 3 drop complexity, provider
/// and model, in this order.
const LEVELS: usize = 4;

/// The events that match a query best.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    level: usize,
    input_tokens: Vec<u64>,
    output_tokens: Vec<u64>,
    cost: Vec<u64>,
    duration: Vec<u64>,
    counts: Counts,
}

/// The figures of one prediction, all exact.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// The number of dimensions that were ignored to find events.
    pub(crate) level: usize,
    /// The number of events; without any, the rest is 0.
    pub(crate) tasks: u64,
    pub(crate) input_tokens: TokenDistribution,
    pub(crate) output_tokens: TokenDistribution,
    pub(crate) cost: TokenDistribution,
    pub(crate) duration: TokenDistribution,
    pub(crate) counts: Counts,
}

/// The figures that can be added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) input: Estimates,
    pub(crate) output: Estimates,
    /// Tasks that ran a quality gate.
    pub(crate) gated: u64,
    pub(crate) gated_passed: u64,
    pub(crate) passed: u64,
    pub(crate) succeeded: u64,
}

/// Sums over the tasks with an estimate. A count may be `i64::MAX`, so 64 bits are too few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Estimates {
    pub(crate) estimated: u128,
    pub(crate) actual: u128,
}

impl Sample {
    /// Selects the events at the lowest level at which any event matches the query.
    pub(crate) fn gather<'e>(
        events: impl Iterator<Item = &'e TaskCompletionEvent>,
        query: &PredictionQuery,
    ) -> Self {
        let mut best = Self { level: LEVELS, ..Self::default() };
        for event in events {
            let Some(level) = level(event, query) else { continue };
            if level < best.level {
                best = Self { level, ..Self::default() };
            }
            // Equality suffices: events that match more closely would have lowered the level.
            if level == best.level {
                best.add(event);
            }
        }
        best
    }

    fn add(&mut self, event: &TaskCompletionEvent) {
        self.input_tokens.push(event.actual_input_tokens);
        self.output_tokens.push(event.actual_output_tokens);
        self.cost.push(event.actual_cost_usd_micros);
        self.duration.push(event.task_duration_ms);
        let counts = &mut self.counts;
        counts.input.add(event.estimated_input_tokens, event.actual_input_tokens);
        counts.output.add(event.estimated_output_tokens, event.actual_output_tokens);
        let passed = u64::from(event.quality_gate_passed);
        counts.passed += passed;
        if !event.quality_gates_run.is_empty() {
            counts.gated += 1;
            counts.gated_passed += passed;
        }
        counts.succeeded += u64::from(event.outcome == Outcome::Success);
    }

    /// Sorts the values, which is the slow part.
    pub(crate) fn summary(self) -> Summary {
        let tasks = self.duration.len() as u64;
        if tasks == 0 {
            return Summary::default();
        }
        Summary {
            level: self.level,
            tasks,
            input_tokens: distribution(self.input_tokens),
            output_tokens: distribution(self.output_tokens),
            cost: distribution(self.cost),
            duration: distribution(self.duration),
            counts: self.counts,
        }
    }
}

impl Summary {
    /// The prediction, and the size and confidence of its sample.
    pub(crate) fn response(&self, query: &PredictionQuery) -> PredictionResponse {
        let size = self.tasks;
        let confidence = match (size, self.level) {
            (0, _) => Confidence::None,
            (100.., 0) => Confidence::High,
            (30.., 0) => Confidence::Medium,
            _ => Confidence::Low,
        };
        let mut metadata = PredictionMetadata::new(size, confidence);
        if size == 0 {
            return PredictionResponse::new(None, metadata);
        }
        if let Some(note) = note(self.level, query) {
            metadata = metadata.with_fallback(FallbackLevel::Number(self.level as f64), note);
        }
        PredictionResponse::new(Some(self.prediction()), metadata)
    }

    fn prediction(&self) -> PredictionData {
        let Counts { input, output, gated, gated_passed, passed, succeeded } = self.counts;
        let gate_pass_rate =
            if gated == 0 { share(passed, self.tasks) } else { share(gated_passed, gated) };
        let mut data = PredictionData::default();
        data.input_tokens = self.input_tokens;
        data.output_tokens = self.output_tokens;
        data.cost_usd_micros = named(self.cost);
        data.duration_ms = named(self.duration);
        data.correction_factors = CorrectionFactors::new(input.factor(), output.factor());
        data.quality = QualityPrediction::new(gate_pass_rate, share(succeeded, self.tasks));
        data
    }
}

impl Estimates {
    fn add(&mut self, estimated: u64, actual: u64) {
        if estimated > 0 {
            self.estimated += u128::from(estimated);
            self.actual += u128::from(actual);
        }
    }

    /// The factor from estimated to actual tokens; 1.0 without estimates.
    fn factor(self) -> f64 {
        if self.estimated == 0 { 1.0 } else { self.actual as f64 / self.estimated as f64 }
    }
}

/// The level at which the event matches. `None` if even the task type differs.
fn level(event: &TaskCompletionEvent, query: &PredictionQuery) -> Option<usize> {
    (event.task_type == query.task_type).then(|| {
        level_of([
            event.model == query.model,
            event.provider == query.provider,
            event.complexity == query.complexity,
        ])
    })
}

/// The level at which events of the task type match: whether model, provider and complexity do.
pub(crate) const fn level_of(matches: [bool; 3]) -> usize {
    match matches {
        [true, true, true] => 0,
        [true, true, false] => 1,
        [true, false, _] => 2,
        [false, ..] => 3,
    }
}

/// The explanation of a fallback.
fn note(level: usize, query: &PredictionQuery) -> Option<String> {
    let PredictionQuery { model, provider, complexity, .. } = query;
    match level {
        0 => None,
        1 => Some(format!("no tasks with complexity {complexity}: all complexities are counted")),
        2 => Some(format!(
            "no tasks with model {model} at {provider}: all providers and complexities are counted"
        )),
        _ => Some(format!(
            "no tasks with model {model}: all models, providers and complexities are counted"
        )),
    }
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use telemetry_model::{
        Complexity, Cost, EventBuilder, Provider, Quality, QualityGate, TaskType, Tokens,
    };
    use uuid::Uuid;

    use super::*;

    fn query() -> PredictionQuery {
        PredictionQuery::new(TaskType::Debugging, "m", Provider::Anthropic, Complexity::High)
    }

    fn matching() -> EventBuilder {
        EventBuilder::new(Uuid::from_u128(1))
            .task_type(TaskType::Debugging)
            .model("m")
            .provider(Provider::Anthropic)
            .complexity(Complexity::High)
    }

    fn respond(events: &[TaskCompletionEvent]) -> PredictionResponse {
        Sample::gather(events.iter(), &query()).summary().response(&query())
    }

    #[test]
    fn prediction_matches_values_computed_by_hand() {
        let gates = |passed, gates_run: &[QualityGate]| Quality {
            passed,
            gates_run: gates_run.to_vec(),
            gates_failed: Vec::new(),
        };
        let tokens = |estimated_in, actual_in, actual_out| Tokens {
            estimated_in,
            estimated_out: 0,
            actual_in,
            actual_out,
        };
        let events = [
            matching()
                .tokens(tokens(100, 150, 10))
                .cost(Cost { estimated: 0, actual: 1_000 })
                .duration_ms(100)
                .outcome(Outcome::Success)
                .quality(gates(true, &[QualityGate::Build]))
                .build(),
            matching()
                .tokens(tokens(300, 250, 20))
                .cost(Cost { estimated: 0, actual: 3_000 })
                .duration_ms(200)
                .outcome(Outcome::Partial)
                .quality(gates(false, &[QualityGate::Test]))
                .build(),
            // Without estimate and gates: part of neither the factor nor the pass rate.
            matching()
                .tokens(tokens(0, 1_000, 60))
                .cost(Cost { estimated: 0, actual: 2_000 })
                .duration_ms(600)
                .outcome(Outcome::Success)
                .quality(gates(true, &[]))
                .build(),
        ];
        let PredictionResponse { prediction, metadata, .. } = respond(&events);
        let data = prediction.unwrap();
        // Ranks 0.2, 0.5, 1, 1.5 and 1.8 among 150, 250, 1000.
        let input = data.input_tokens;
        let input = [input.p10, input.p25, input.median, input.p75, input.p90];
        assert_eq!(input, [170.0, 200.0, 250.0, 625.0, 850.0].map(Some));
        assert_eq!(data.output_tokens.median, Some(20.0));
        let cost: Vec<_> = data.cost_usd_micros.iter().collect();
        assert_eq!(
            cost,
            [
                ("median", 2_000.0),
                ("p10", 1_200.0),
                ("p25", 1_500.0),
                ("p75", 2_500.0),
                ("p90", 2_800.0)
            ]
        );
        assert_eq!(data.duration_ms.median(), Some(200.0));
        assert_eq!(data.duration_ms.percentile("p90"), Some(520.0));
        assert_eq!(data.correction_factors, CorrectionFactors::new(1.0, 1.0));
        assert_eq!(data.quality, QualityPrediction::new(0.5, 2.0 / 3.0));
        assert_eq!(metadata, PredictionMetadata::new(3, Confidence::Low));
    }

    #[test]
    fn correction_factor_is_a_ratio_of_sums() {
        let estimate = |estimated_out, actual_out| {
            matching().tokens(Tokens { estimated_out, actual_out, ..Tokens::default() }).build()
        };
        let data = respond(&[estimate(100, 300), estimate(300, 300), estimate(0, 999)]);
        // 600 / 400. The mean of the single factors would be 2.
        assert_eq!(data.prediction.unwrap().correction_factors, CorrectionFactors::new(1.0, 1.5));
    }

    #[test]
    fn gate_pass_rate_without_gates_covers_all_tasks() {
        let passed = |passed| matching().quality(Quality { passed, ..Quality::default() }).build();
        let data = respond(&[passed(true), passed(false), passed(false), passed(false)]);
        assert_eq!(data.prediction.unwrap().quality.gate_pass_rate, 0.25);
    }

    #[test]
    fn fallback_drops_dimensions_in_order() {
        let other_type = matching().task_type(TaskType::Planning).build();
        let other_model = matching().model("n").build();
        let other_provider = matching().provider(Provider::Openai).build();
        let other_complexity = matching().complexity(Complexity::Low).build();
        let mut events = vec![other_type];
        let nothing = respond(&events);
        assert_eq!(nothing.prediction, None);
        assert_eq!(nothing.metadata, PredictionMetadata::new(0, Confidence::None));
        for (event, level, note) in [
            (
                other_model,
                3.0,
                "no tasks with model m: all models, providers and complexities are counted",
            ),
            (
                other_provider,
                2.0,
                "no tasks with model m at anthropic: all providers and complexities are counted",
            ),
            (other_complexity, 1.0, "no tasks with complexity high: all complexities are counted"),
        ] {
            events.extend(vec![event; 200]);
            let metadata = respond(&events).metadata;
            assert_eq!(metadata.fallback_level, Some(FallbackLevel::Number(level)));
            assert_eq!(metadata.fallback_note.as_deref(), Some(note));
            assert_eq!((metadata.sample_size, metadata.confidence), (200, Confidence::Low));
        }
        events.push(matching().build());
        assert_eq!(respond(&events).metadata, PredictionMetadata::new(1, Confidence::Low));
    }

    #[test]
    fn confidence_depends_on_sample_size() {
        for (size, confidence) in [
            (1, Confidence::Low),
            (29, Confidence::Low),
            (30, Confidence::Medium),
            (99, Confidence::Medium),
            (100, Confidence::High),
        ] {
            let metadata = respond(&vec![matching().build(); size]).metadata;
            assert_eq!(metadata, PredictionMetadata::new(size as u64, confidence));
        }
    }
}

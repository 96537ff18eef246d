//! Tasks as agents report them, the same in each run except for their time, which is the last four weeks.

use std::time::{Duration, SystemTime};

use telemetry_collector::{Collector, EVENTS_PATH};
use telemetry_model::{
    Cost, EventBuilder, Quality, QualityGate, TaskCompletionEvent, Tokens, uuid::Uuid,
};

use crate::browser::exchange;

const INSTANCE: Uuid = Uuid::from_u128(0x12345678_1234_1234_1234_123456789abc);

/// Models with their provider, the price of a million tokens of input and output, and their share in percent.
const MODELS: [(&str, &str, f64, f64, u64); 5] = [
    ("claude-sonnet-4-5-20250929", "anthropic", 3.0, 15.0, 45),
    ("claude-opus-4-5", "anthropic", 5.0, 25.0, 20),
    ("gpt-5.2-codex", "openai", 1.75, 14.0, 20),
    ("qwen3-coder:30b", "ollama", 0.0, 0.0, 10),
    ("gemini-3-pro", "google", 2.0, 12.0, 5),
];
const HARNESSES: [(&str, u64); 4] =
    [("claude_code", 50), ("opencode", 20), ("codex", 20), ("aider", 10)];
const TASK_TYPES: [(&str, u64); 5] = [
    ("implementation", 40),
    ("debugging", 25),
    ("testing", 15),
    ("code_review", 12),
    ("planning", 8),
];
const COMPLEXITIES: [(&str, u64); 3] = [("low", 30), ("medium", 50), ("high", 20)];
const GATES: [(QualityGate, u64); 4] = [
    (QualityGate::Build, 4),
    (QualityGate::Test, 16),
    (QualityGate::Lint, 8),
    (QualityGate::Typecheck, 6),
];

/// The generator of Numerical Recipes; the low bits are not used.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<T: Clone>(&mut self, choices: &[(T, u64)]) -> T {
        let mut at = self.below(choices.iter().map(|(_, share)| share).sum());
        let chosen = choices.iter().find(|(_, share)| {
            let is_here = at < *share;
            at = at.saturating_sub(*share);
            is_here
        });
        chosen.expect("the shares add up").0.clone()
    }

    /// Spread around 1 as durations and tokens of tasks are: many are small, few are large.
    fn spread(&mut self, width: f64) -> f64 {
        let sum: u64 = (0..6).map(|_| self.below(1_000)).sum();
        ((sum as f64 / 3_000.0 - 1.0) * width * 2.5).exp()
    }
}

/// Tasks of the last four weeks, oldest first, the last but one of a model that a page has to escape.
pub(crate) fn tasks(count: usize) -> Vec<TaskCompletionEvent> {
    let mut random = Random(17);
    let mut tasks: Vec<_> = (0..count).map(|_| task(&mut random)).collect();
    tasks.sort_by_key(|task| task.timestamp);
    if let [.., one, _] = tasks.as_mut_slice() {
        one.model = "<script>alert(1)</script>".into();
    }
    tasks
}

/// Tasks of a model, now.
pub(crate) fn named(model: &str, count: u64) -> Vec<TaskCompletionEvent> {
    (0..count).map(|_| EventBuilder::new(INSTANCE).model(model).build()).collect()
}

fn task(random: &mut Random) -> TaskCompletionEvent {
    let models = MODELS
        .map(|(name, provider, input, output, share)| ((name, provider, input, output), share));
    let (model, provider, input_price, output_price) = random.pick(&models);
    let complexity = random.pick(&COMPLEXITIES);
    let size = match complexity {
        "low" => 0.4,
        "medium" => 1.0,
        _ => 2.6,
    };
    let [estimated_in, estimated_out] = [90_000.0 * size, 4_000.0 * size];
    let actual_in = estimated_in * random.spread(0.6) * 1.2;
    let actual_out = estimated_out * random.spread(0.5);
    // Input is mostly read from a cache.
    let cost =
        |input: f64, output: f64| (input * input_price * 0.35 + output * output_price) as u64;
    let gates: Vec<_> = GATES.iter().take(random.below(5) as usize).collect();
    let failed: Vec<_> = gates.iter().filter(|(_, share)| random.below(100) < *share).collect();
    let outcome = random.pick(&[
        ("success", if failed.is_empty() { 85 } else { 30 }),
        ("partial", 9),
        ("failure", 8),
        ("timeout", 2),
    ]);
    EventBuilder::new(INSTANCE)
        .timestamp(time(random))
        .task_type(random.pick(&TASK_TYPES))
        .complexity(complexity)
        .harness(random.pick(&HARNESSES))
        .model(model)
        .provider(provider)
        .tokens(Tokens {
            estimated_in: estimated_in as u64,
            estimated_out: estimated_out as u64,
            actual_in: actual_in as u64,
            actual_out: actual_out as u64,
        })
        .cost(Cost {
            estimated: cost(estimated_in, estimated_out),
            actual: cost(actual_in, actual_out),
        })
        .duration_ms((180_000.0 * size * random.spread(0.7)) as u64)
        .quality(Quality {
            passed: failed.is_empty(),
            gates_run: gates.iter().map(|(gate, _)| gate.clone()).collect(),
            gates_failed: failed.iter().map(|(gate, _)| gate.clone()).collect(),
        })
        .outcome(outcome)
        .retry_count(random.below(5).saturating_sub(2))
        .language("rust")
        .build()
}

/// More on working days, and more of late.
#[expect(clippy::disallowed_methods, reason = "the page shows tasks up to now")]
fn time(random: &mut Random) -> SystemTime {
    let now = SystemTime::now();
    loop {
        let hours = random.below(28 * 24).min(random.below(34 * 24));
        let at = now - Duration::from_secs(hours * 3_600 + random.below(3_600));
        let days =
            at.duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs() / 86_400;
        // 1970-01-01 was a Thursday.
        if (days + 3) % 7 < 5 || random.below(6) == 0 {
            return at;
        }
    }
}

/// Reports tasks in batches of 100.
pub(crate) fn report(collector: &Collector, tasks: &[TaskCompletionEvent]) {
    for batch in tasks.chunks(100) {
        post(collector, &serde_json::json!({ "events": batch }));
    }
    assert!(collector.totals().accepted >= tasks.len() as u64);
}

/// Reports events that are rejected.
pub(crate) fn report_invalid(collector: &Collector) {
    let mut events = serde_json::json!({ "events": named("m", 2) });
    events["events"][0]["actual_input_tokens"] = (-5).into();
    events["events"][1]["outcome"] = serde_json::Value::Null;
    post(collector, &events);
    assert_eq!(collector.totals().rejected, 2);
}

fn post(collector: &Collector, body: &serde_json::Value) {
    let answer = exchange(collector.addr().port(), "POST", EVENTS_PATH, &body.to_string());
    assert!(answer.get("results").is_some(), "{answer}");
}

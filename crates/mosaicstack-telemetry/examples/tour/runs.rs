//! Parses agent runs, one JSON object per line, and converts them to events.

use mosaicstack_telemetry::{
    Cost, EventBuilder, Outcome, Provider, Quality, QualityGate, TaskCompletionEvent, TaskType,
    Tokens,
};
use serde::Deserialize;

/// One run; `data/README.md` describes the fields.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    language: String,
    pub(crate) model: String,
    pub(crate) provider: String,
    resolved: bool,
    submitted: bool,
    tokens_in: u64,
    tokens_out: u64,
    cost_usd: f64,
    tool_seconds: f64,
}

impl Run {
    pub(crate) fn event(&self, builder: EventBuilder) -> TaskCompletionEvent {
        let outcome = match (self.resolved, self.submitted) {
            (true, _) => Outcome::Success,
            (false, true) => Outcome::Failure,
            (false, false) => Outcome::Partial,
        };
        let gates_failed = if self.resolved { vec![] } else { vec![QualityGate::Test] };
        builder
            .task_type(TaskType::Implementation)
            .model(&self.model)
            .provider(Provider::from(self.provider.as_str()))
            .language(&self.language)
            .outcome(outcome)
            .duration_ms((self.tool_seconds * 1_000.0).round() as u64)
            .tokens(Tokens {
                actual_in: self.tokens_in,
                actual_out: self.tokens_out,
                ..Tokens::default()
            })
            .cost(Cost { actual: (self.cost_usd * 1e6).round() as u64, ..Cost::default() })
            .quality(Quality {
                passed: self.resolved,
                gates_run: vec![QualityGate::Test],
                gates_failed,
            })
            .build()
    }
}

/// Returns the runs of a file, and an error message for each invalid line.
pub(crate) fn parse(text: &str) -> (Vec<Run>, Vec<String>) {
    let (mut runs, mut errors) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(run) => runs.push(run),
            Err(error) => errors.push(format!("line {number}: {error}")),
        }
    }
    (runs, errors)
}

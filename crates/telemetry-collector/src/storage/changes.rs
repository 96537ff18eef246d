//! The effect of events on the summaries.

use std::collections::HashMap;

use telemetry_model::TaskCompletionEvent;

use super::{figures::Figures, samples::METRICS, views::hour};

/// The words that a series is of: task type, model, provider, complexity and harness.
pub(crate) fn words(event: &TaskCompletionEvent) -> [&str; 5] {
    [
        event.task_type.as_str(),
        &event.model,
        event.provider.as_str(),
        event.complexity.as_str(),
        event.harness.as_str(),
    ]
}

/// The effect of events on the summaries.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) hours: HashMap<(i64, i64), Figures>,
    /// By hour, series and gate: tasks that ran it, tasks that failed it.
    pub(crate) gates: HashMap<(i64, i64), HashMap<Box<str>, [i64; 2]>>,
    pub(crate) samples: Vec<(i64, [u64; METRICS])>,
}

impl Changes {
    pub(crate) fn add(&mut self, series: i64, event: &TaskCompletionEvent) {
        let key = (hour(event), series);
        self.hours.entry(key).or_default().add_event(event);
        let lists = [&event.quality_gates_run, &event.quality_gates_failed];
        if lists.iter().any(|gates| !gates.is_empty()) {
            let of_hour = self.gates.entry(key).or_default();
            for (column, gates) in lists.into_iter().enumerate() {
                for (index, gate) in gates.iter().enumerate() {
                    if !gates[..index].contains(gate) {
                        of_hour.entry(gate.as_str().into()).or_default()[column] += 1;
                    }
                }
            }
        }
        let values = [
            event.actual_input_tokens,
            event.actual_output_tokens,
            event.actual_cost_usd_micros,
            event.task_duration_ms,
        ];
        self.samples.push((series, values));
    }
}

//! Tasks as a table, as JSON and as CSV.

use std::io::Write;

use comfy_table::{CellAlignment, Table, presets};
use mosaicstack_telemetry::Outcome;
use serde::{Serialize, Serializer};
use telemetry_agent_logs::Task;

use crate::{error::Error, when};

/// A task as people and scripts read it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    started: String,
    harness: &'a str,
    project: Option<&'a str>,
    model: &'a str,
    input_tokens: u64,
    output_tokens: u64,
    requests: u64,
    /// `None` if a model has no price.
    cost_usd: Option<f64>,
    duration_ms: u64,
    gates_run: String,
    gates_failed: String,
    /// `None` if the log does not show it.
    outcome: Option<Outcome>,
}

impl<'a> Row<'a> {
    fn of(task: &'a Task, outcome: Option<Outcome>) -> Self {
        let list = |gates: &[mosaicstack_telemetry::QualityGate]| {
            gates.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(" ")
        };
        Self {
            started: when::instant(task.started),
            harness: task.labels.harness.as_str(),
            project: task.labels.project.as_deref(),
            model: &task.labels.model,
            input_tokens: task.usage.total_input(),
            output_tokens: task.usage.total_output(),
            requests: task.requests,
            cost_usd: task.cost().map(|it| it as f64 / 1e6),
            duration_ms: task.duration_ms,
            gates_run: list(&task.labels.gates_run),
            gates_failed: list(&task.labels.gates_failed),
            outcome,
        }
    }
}

/// Tasks and their outcomes.
pub(crate) type Outcomes<'a> = [(&'a Task, Option<Outcome>)];

pub(crate) fn json(tasks: &Outcomes<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let rows = tasks.iter().map(|(task, outcome)| Row::of(task, outcome.clone()));
    serde_json::Serializer::pretty(&mut *out).collect_seq(rows)?;
    Ok(writeln!(out)?)
}

pub(crate) fn csv(tasks: &Outcomes<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let mut writer = csv::Writer::from_writer(out);
    for (task, outcome) in tasks {
        let (project, model) =
            (task.labels.project.as_deref().map(plain), plain(&task.labels.model));
        let mut row = Row::of(task, outcome.clone());
        (row.project, row.model) = (project.as_deref(), &model);
        writer.serialize(row)?;
    }
    Ok(writer.flush()?)
}

pub(crate) fn table(tasks: &Outcomes<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "started (UTC)",
        "harness",
        "project",
        "model",
        "in",
        "out",
        "cost",
        "time",
        "gates",
        "outcome",
    ]);
    let (mut input, mut output, mut cost, mut unpriced) = (0, 0, 0, 0_u64);
    for (task, outcome) in tasks {
        input += task.usage.total_input();
        output += task.usage.total_output();
        cost += task.cost_microdollars;
        unpriced += u64::from(task.cost().is_none());
        table.add_row([
            when::minute(task.started),
            task.labels.harness.to_string(),
            plain(task.labels.project.as_deref().unwrap_or_default()),
            plain(&task.labels.model),
            count(task.usage.total_input()),
            count(task.usage.total_output()),
            task.cost().map_or_else(|| "?".into(), dollars),
            duration(task.duration_ms),
            gates(task),
            outcome.as_ref().map_or("?", |it| it.as_str()).into(),
        ]);
    }
    let total = format!("{} tasks", count(tasks.len() as u64));
    let cost =
        if unpriced == 0 { dollars(cost) } else { format!("{} + {unpriced} ?", dollars(cost)) };
    let (input, output) = (count(input), count(output));
    table.add_row([&total, "", "", "", &input, &output, &cost, "", "", ""]);
    for column in 4..8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Ok(writeln!(out, "{}", table.trim_fmt())?)
}

/// Each gate that ran, with a minus if it failed.
fn gates(task: &Task) -> String {
    let mark = |gate| if task.labels.gates_failed.contains(gate) { "-" } else { "+" };
    let gates = task.labels.gates_run.iter().map(|gate| format!("{}{}", mark(gate), gate.as_str()));
    gates.collect::<Vec<_>>().join(" ")
}

/// Text without control characters, which a terminal could obey.
pub(crate) fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// A number with separators of thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// US dollars to a hundredth of a cent.
pub(crate) fn dollars(microdollars: u64) -> String {
    format!("${:.4}", microdollars as f64 / 1e6)
}

pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        0..60 => format!("{}.{} s", seconds, milliseconds % 1_000 / 100),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let counts = [0, 999, 1_000, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
        let times = [950, 59_999, 60_000, 3_661_000].map(duration);
        assert_eq!(times, ["0.9 s", "59.9 s", "1 min 00 s", "1 h 01 min"]);
        assert_eq!(dollars(1_234_567), "$1.2346");
        assert_eq!(plain("a\u{1b}[2Jä"), "a\u{fffd}[2Jä");
    }
}

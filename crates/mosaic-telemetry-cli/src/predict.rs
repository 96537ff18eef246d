//! Predictions beside own tasks.

use std::{io::Write, sync::Arc, time::Duration};

use mosaicstack_telemetry::{
    PredictionQuery, Provider, TaskType, TelemetryClient,
    model::{PredictionData, PredictionResponse, model_vendor},
};
use telemetry_agent_logs::Task;

use crate::{
    cli::{Flags, PredictArgs, Selection},
    error::Error,
    files::Folders,
    rows::{count, dollars, duration, plain},
    scan,
    settings::Settings,
};

/// The columns of a chart.
const WIDTH: usize = 40;

/// The heading of the charts.
const LEGEND: &str = "─── 10 to 90 %  ███ 25 to 75 %  ┃ median";

const PERCENTILES: [&str; 5] = ["p10", "p25", "median", "p75", "p90"];

/// The values of [`PERCENTILES`].
type Percentiles = [Option<f64>; 5];

/// Prints a value.
type Print = fn(f64) -> String;

pub(crate) fn run(
    arguments: &PredictArgs,
    flags: &Flags,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let folders = Folders::new()?;
    let client = TelemetryClient::start(Settings::read(&folders, flags)?.config_to_ask(None)?);
    let queries: Vec<_> = arguments.model.iter().map(|model| query(arguments, model)).collect();
    let answers = client.predictions().get_all(&queries);
    client.handle().shutdown(Duration::ZERO);
    let asked = answers.as_ref().map_err(|error| Error::Message(error.to_string()));
    if arguments.json {
        let answers = asked?;
        let list: Vec<&PredictionResponse> = answers.iter().map(AsRef::as_ref).collect();
        serde_json::to_writer_pretty(&mut *out, &list)?;
        writeln!(out)?;
        return check(arguments, answers);
    }
    let lock = folders.lock();
    let tasks = scan::scan(&Selection::default(), &folders)?.tasks;
    drop(lock);
    for (index, query) in queries.iter().enumerate() {
        let answer = asked.as_ref().ok().and_then(|it| it.get(index));
        print(query, answer.map(AsRef::as_ref), &own(query, &tasks), out)?;
    }
    check(arguments, asked?)
}

fn query(arguments: &PredictArgs, model: &str) -> PredictionQuery {
    let provider = arguments.provider.as_deref().map(Provider::from);
    let provider = provider.or_else(|| model_vendor(model)).unwrap_or_default();
    let (task_type, complexity) = (arguments.task_type.as_str(), arguments.complexity.as_str());
    PredictionQuery::new(task_type, model, provider, complexity)
}

/// Own tasks of the same model, and of the same kind as far as their logs tell it.
fn own<'a>(query: &PredictionQuery, tasks: &'a [Arc<Task>]) -> Vec<&'a Task> {
    let is_of_kind = |task: &&Task| {
        let is_type =
            task.labels.task_type == query.task_type || task.labels.task_type == TaskType::Unknown;
        task.labels.model == query.model && is_type
    };
    tasks.iter().map(AsRef::as_ref).filter(is_of_kind).collect()
}

/// Prints the percentiles of an answer, if there is one, and of own tasks.
fn print(
    query: &PredictionQuery,
    answer: Option<&PredictionResponse>,
    own: &[&Task],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let PredictionQuery { model, task_type, complexity, .. } = query;
    writeln!(out, "{}, {task_type}, {complexity}", plain(model))?;
    let data = answer.and_then(|it| it.prediction.as_ref());
    match (answer, data) {
        (Some(PredictionResponse { metadata, .. }), Some(_)) => {
            let (samples, confidence) = (count(metadata.sample_size), &metadata.confidence);
            writeln!(out, "  all: {samples} tasks, confidence {confidence}")?;
            if let Some(note) = &metadata.fallback_note {
                writeln!(out, "  {}", plain(note))?;
            }
        }
        (Some(_), None) => writeln!(out, "  all: the server has no tasks of this kind")?,
        (None, _) => writeln!(out, "  all: the server did not answer")?,
    }
    writeln!(out, "  yours: {} tasks", count(own.len() as u64))?;
    if data.is_none() && own.is_empty() {
        return Ok(writeln!(out)?);
    }
    let own_values = |value: fn(&Task) -> Option<u64>| {
        let values = own.iter().filter_map(|task| value(task)).map(|it| it as f64);
        quantiles(values.collect())
    };
    let all_values = |value: fn(&PredictionData, &str) -> Option<f64>| {
        PERCENTILES.map(|name| data.and_then(|it| value(it, name)))
    };
    let micros: Print = |it| dollars(it as u64);
    let millis: Print = |it| duration(it as u64);
    let tokens: Print = |it| count(it as u64);
    let rows: [(&str, Percentiles, Percentiles, Print); 4] = [
        (
            "cost",
            all_values(|it, name| it.cost_usd_micros.percentile(name)),
            own_values(Task::cost),
            micros,
        ),
        (
            "time",
            all_values(|it, name| it.duration_ms.percentile(name)),
            own_values(|it| Some(it.duration_ms)),
            millis,
        ),
        (
            "input",
            all_values(|it, name| it.input_tokens.percentile(name)),
            own_values(|it| Some(it.usage.total_input())),
            tokens,
        ),
        (
            "output",
            all_values(|it, name| it.output_tokens.percentile(name)),
            own_values(|it| Some(it.usage.total_output())),
            tokens,
        ),
    ];
    writeln!(out, "  {:14}{:WIDTH$}{:>14}{:>14}", "", LEGEND, "median", "90 %")?;
    for (name, all, own, print) in rows {
        let largest = all.iter().chain(&own).flatten().copied().fold(0.0, f64::max);
        for (whose, values) in [("all", all), ("yours", own)] {
            let [_, _, Some(median), _, p90] = values else { continue };
            let (chart, p90) = (chart(values, largest), p90.map_or_else(String::new, print));
            writeln!(out, "  {name:8}{whose:6}{chart}{:>14}{p90:>14}", print(median))?;
        }
    }
    Ok(writeln!(out)?)
}

/// The percentiles of values, interpolated between neighbors; none without values.
fn quantiles(mut values: Vec<f64>) -> Percentiles {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    [0.10, 0.25, 0.50, 0.75, 0.90].map(|share| {
        let at = last * share;
        let (below, above) = (values.get(at.floor() as usize)?, values.get(at.ceil() as usize)?);
        Some(below + (above - below) * at.fract())
    })
}

/// A line from the 10th to the 90th percentile, a box from the 25th to the 75th, and the median.
fn chart(values: Percentiles, largest: f64) -> String {
    let column = |value: f64| {
        let share = if largest > 0.0 { value / largest } else { 0.0 };
        ((share * (WIDTH - 1) as f64).round() as usize).min(WIDTH - 1)
    };
    let mut cells = [' '; WIDTH];
    let mut fill = |from: Option<f64>, to: Option<f64>, cell: char| {
        if let (Some(from), Some(to)) = (from, to) {
            cells.iter_mut().take(column(to) + 1).skip(column(from)).for_each(|it| *it = cell);
        }
    };
    let [p10, p25, median, p75, p90] = values;
    fill(p10, p90, '─');
    fill(p25, p75, '█');
    fill(median, median, '┃');
    cells.iter().collect()
}

fn check(arguments: &PredictArgs, answers: &[Arc<PredictionResponse>]) -> Result<(), Error> {
    let Some(max) = arguments.max_cost else { return Ok(()) };
    let mut messages = Vec::new();
    for (model, answer) in arguments.model.iter().zip(answers) {
        let median = answer.prediction.as_ref().and_then(|it| it.cost_usd_micros.median());
        if let Some(median) = median.filter(|it| *it > max * 1e6) {
            let (median, max) = (dollars(median as u64), dollars((max * 1e6) as u64));
            messages.push(format!("{model} is predicted to cost {median}, which is above {max}"));
        }
    }
    if messages.is_empty() { Ok(()) } else { Err(Error::TooExpensive(messages.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chart_shows_the_five_percentiles() {
        let values = [5.0, 10.0, 20.0, 30.0, 39.0].map(Some);
        let expected = "     ─────██████████┃██████████─────────";
        assert_eq!(chart(values, 39.0), expected);
        assert_eq!(chart([None; 5], 0.0), " ".repeat(WIDTH));
        assert_eq!(chart([Some(7.0); 5], 7.0), format!("{}┃", " ".repeat(WIDTH - 1)));
    }

    #[test]
    fn quantiles_are_of_the_values() {
        assert_eq!(quantiles(vec![]), [None; 5]);
        assert_eq!(quantiles(vec![7.0]), [Some(7.0); 5]);
        assert_eq!(quantiles(vec![20.0, 10.0]), [11.0, 12.5, 15.0, 17.5, 19.0].map(Some));
        let values = (0..=100).rev().map(f64::from).collect();
        assert_eq!(quantiles(values), [10.0, 25.0, 50.0, 75.0, 90.0].map(Some));
    }
}

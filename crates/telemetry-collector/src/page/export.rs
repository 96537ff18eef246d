//! The tables of the page with all their rows and exact values.

use serde_json::Value as Json;
use telemetry_model::{PredictionQuery, PredictionResponse};

use super::{
    report::{self, Timeline},
    table::{Table, Value},
    units,
};
use crate::storage::StorageError;
use crate::storage::views::{
    Dimension, Filter, Group, MAX_REJECTIONS, Rejection, StoredEvent, Sums, Views,
};

/// The names of the tables; the files are `/page/NAME.csv` and `/page/NAME.json`.
pub(super) const NAMES: [&str; 11] = [
    "time",
    "models",
    "harnesses",
    "task-types",
    "providers",
    "complexities",
    "estimates",
    "gates",
    "predictions",
    "events",
    "rejections",
];

/// The most events of an export.
const MAX_EVENTS: u32 = 1_000;

/// The most predictions of an export.
const MAX_PREDICTIONS: u32 = 100;

/// The fields of an event, in the order of the schema.
pub(super) const EVENT_FIELDS: [&str; 26] = [
    "instance_id",
    "event_id",
    "schema_version",
    "timestamp",
    "task_duration_ms",
    "task_type",
    "complexity",
    "harness",
    "model",
    "provider",
    "estimated_input_tokens",
    "estimated_output_tokens",
    "actual_input_tokens",
    "actual_output_tokens",
    "estimated_cost_usd_micros",
    "actual_cost_usd_micros",
    "quality_gate_passed",
    "quality_gates_run",
    "quality_gates_failed",
    "context_compactions",
    "context_rotations",
    "context_utilization_final",
    "outcome",
    "retry_count",
    "language",
    "repo_size_category",
];

const PERCENTILES: [&str; 5] = ["p10", "p25", "median", "p75", "p90"];

/// The file name of the table of a dimension, without its extension.
pub(super) const fn name_of(by: Dimension) -> &'static str {
    match by {
        Dimension::Hour | Dimension::Day => "time",
        Dimension::Model => "models",
        Dimension::Harness => "harnesses",
        Dimension::TaskType => "task-types",
        Dimension::Provider => "providers",
        Dimension::Complexity => "complexities",
    }
}

/// The table with this name, which is one of [`NAMES`]; `None` for another.
pub(super) fn table(
    name: &str,
    views: &dyn Views,
    predict: impl Fn(&PredictionQuery) -> Result<PredictionResponse, StorageError>,
    filter: &Filter,
) -> Result<Option<Table>, StorageError> {
    let breakdown = report::BREAKDOWN.into_iter().find(|by| name_of(*by) == name);
    if let Some(by) = breakdown {
        let rows = report::by_tasks(views, filter, by)?;
        return Ok(Some(sums_table(key_of(by), rows)));
    }
    Ok(Some(match name {
        "time" => {
            let rows = Timeline::gather(views, filter)?.spans.into_iter();
            let start = |hour| units::rfc3339(units::at_hour(hour));
            sums_table("start", rows.map(|(hour, sums)| (start(hour), sums)).collect())
        }
        "estimates" => estimates(views, filter)?,
        "gates" => Table {
            columns: vec!["gate", "run", "failed"],
            rows: report::gates(views, filter)?
                .into_iter()
                .map(|it| {
                    let gate = Value::text(it.gate.as_str());
                    vec![gate, Value::number(it.run), Value::number(it.failed)]
                })
                .collect(),
        },
        "predictions" => {
            predictions(&report::predictions(views, predict, filter, MAX_PREDICTIONS)?)
        }
        "events" => events(&views.latest(filter, MAX_EVENTS)?),
        "rejections" => rejections(views.rejections(MAX_REJECTIONS as u32)?),
        _ => return Ok(None),
    }))
}

const fn key_of(by: Dimension) -> &'static str {
    match by {
        Dimension::Hour | Dimension::Day => "start",
        Dimension::Model => "model",
        Dimension::Harness => "harness",
        Dimension::TaskType => "task_type",
        Dimension::Provider => "provider",
        Dimension::Complexity => "complexity",
    }
}

fn sums_table(key: &'static str, rows: Vec<(String, Sums)>) -> Table {
    let columns = [
        key,
        "tasks",
        "succeeded",
        "partial",
        "failed",
        "timed_out",
        "gated",
        "gates_passed",
        "retries",
        "input_tokens",
        "output_tokens",
        "cost_usd_micros",
        "duration_ms",
    ];
    let row = |(key, sums): (String, Sums)| {
        let small = [
            sums.tasks,
            sums.succeeded,
            sums.partial,
            sums.failed,
            sums.timed_out,
            sums.gated,
            sums.gates_passed,
        ];
        let large = [
            sums.retries,
            sums.input_tokens,
            sums.output_tokens,
            sums.cost_usd_micros,
            sums.duration_ms,
        ];
        let numbers = small.map(Value::number).into_iter().chain(large.map(Value::number));
        [Value::Text(key)].into_iter().chain(numbers).collect()
    };
    Table { columns: columns.to_vec(), rows: rows.into_iter().map(row).collect() }
}

/// By model and by task type, as the page shows it.
fn estimates(views: &dyn Views, filter: &Filter) -> Result<Table, StorageError> {
    let mut rows = Vec::new();
    for by in [Dimension::Model, Dimension::TaskType] {
        for (value, sums) in report::by_tasks(views, filter, by)? {
            let numbers = [
                sums.estimated_input,
                sums.actual_of_estimated_input,
                sums.estimated_output,
                sums.actual_of_estimated_output,
                sums.estimated_cost,
                sums.actual_of_estimated_cost,
            ];
            let names = [Value::text(key_of(by)), Value::Text(value)];
            rows.push(names.into_iter().chain(numbers.map(Value::Number)).collect());
        }
    }
    let columns = [
        "dimension",
        "value",
        "estimated_input_tokens",
        "actual_input_tokens",
        "estimated_output_tokens",
        "actual_output_tokens",
        "estimated_cost_usd_micros",
        "actual_cost_usd_micros",
    ];
    Ok(Table { columns: columns.to_vec(), rows })
}

fn predictions(groups: &[(Group, PredictionResponse)]) -> Table {
    let mut columns = vec![
        "task_type",
        "model",
        "provider",
        "complexity",
        "matching_tasks",
        "sample_size",
        "confidence",
    ];
    columns.extend([
        "input_tokens_p10",
        "input_tokens_p25",
        "input_tokens_median",
        "input_tokens_p75",
        "input_tokens_p90",
        "output_tokens_p10",
        "output_tokens_p25",
        "output_tokens_median",
        "output_tokens_p75",
        "output_tokens_p90",
        "cost_usd_micros_p10",
        "cost_usd_micros_p25",
        "cost_usd_micros_median",
        "cost_usd_micros_p75",
        "cost_usd_micros_p90",
        "duration_ms_p10",
        "duration_ms_p25",
        "duration_ms_median",
        "duration_ms_p75",
        "duration_ms_p90",
        "correction_factor_input",
        "correction_factor_output",
        "gate_pass_rate",
        "success_rate",
    ]);
    let count = columns.len();
    let row = |(group, response): &(Group, PredictionResponse)| {
        let PredictionQuery { task_type, model, provider, complexity, .. } = &group.query;
        let mut row = vec![
            Value::text(task_type.as_str()),
            Value::text(model.as_str()),
            Value::text(provider.as_str()),
            Value::text(complexity.as_str()),
            Value::number(group.tasks),
            Value::number(response.metadata.sample_size),
            Value::text(response.metadata.confidence.as_str()),
        ];
        if let Some(data) = &response.prediction {
            let decimal = |value: Option<f64>| value.map_or(Value::Empty, Value::Decimal);
            for tokens in [&data.input_tokens, &data.output_tokens] {
                row.extend(PERCENTILES.map(|name| decimal(tokens.percentile(name))));
            }
            for values in [&data.cost_usd_micros, &data.duration_ms] {
                row.extend(PERCENTILES.map(|name| decimal(values.percentile(name))));
            }
            row.extend(
                [
                    data.correction_factors.input,
                    data.correction_factors.output,
                    data.quality.gate_pass_rate,
                    data.quality.success_rate,
                ]
                .map(Value::Decimal),
            );
        }
        row.resize(count, Value::Empty);
        row
    };
    let rows = groups.iter().map(row).collect();
    Table { columns, rows }
}

fn events(events: &[StoredEvent]) -> Table {
    let row = |stored: &StoredEvent| {
        let received = Value::Text(units::rfc3339(units::at_millis(stored.received)));
        [received].into_iter().chain(fields(stored).map(|(_, value)| value)).collect()
    };
    Table {
        columns: ["received"].into_iter().chain(EVENT_FIELDS).collect(),
        rows: events.iter().map(row).collect(),
    }
}

/// The fields of an event with their values, in the order of [`EVENT_FIELDS`].
pub(super) fn fields(stored: &StoredEvent) -> impl Iterator<Item = (&'static str, Value)> {
    // Never fails: an event serializes to an object.
    let json = serde_json::to_value(&stored.event).unwrap_or_default();
    EVENT_FIELDS.into_iter().map(move |name| (name, value(&json[name])))
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Empty,
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Number(number) => match number.as_u64() {
            Some(number) => Value::number(number),
            None => Value::Decimal(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::text(text),
        Json::Array(items) => {
            Value::List(items.iter().filter_map(|it| Some(it.as_str()?.to_owned())).collect())
        }
        Json::Object(_) => Value::Text(json.to_string()),
    }
}

fn rejections(rejections: Vec<Rejection>) -> Table {
    let id = |id: Option<uuid::Uuid>| id.map_or(Value::Empty, |id| Value::Text(id.to_string()));
    let row = |it: Rejection| {
        vec![
            Value::Text(units::rfc3339(units::at_millis(it.received))),
            id(it.event_id),
            Value::Text(it.reason),
        ]
    };
    Table {
        columns: vec!["received", "event_id", "reason"],
        rows: rejections.into_iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use telemetry_model::EventBuilder;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn fields_are_those_of_an_event() {
        let event = EventBuilder::new(Uuid::nil()).language("rust").build();
        let json = serde_json::to_value(&event).unwrap();
        let mut keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut fields = EVENT_FIELDS;
        keys.sort_unstable();
        fields.sort_unstable();
        assert_eq!(keys, fields);
        let table = events(&[StoredEvent { received: 1, event }]);
        assert_eq!(table.columns.len(), table.rows[0].len());
        let language = table.columns.iter().position(|it| *it == "language").unwrap();
        assert_eq!(table.rows[0][language], Value::text("rust"));
        assert_eq!(table.rows[0][0], Value::text("1970-01-01T00:00:00.001Z"));
    }
}

//! The shortest body for the same values: no white space, numbers in their shortest spelling (`2e6`,
//! `0`), moments without zeros at their end.

use std::fmt::Write as _;

use mosaicstack_telemetry::{
    QualityGate, TaskCompletionEvent,
    reexport::time::{OffsetDateTime, UtcOffset},
};

use crate::Failure;

/// Which keys an event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// All, as the wire contract says: the Python SDK writes those that are unset as null.
    All,
    /// None that the schema does not require and that has its default.
    Required,
}

/// Writes a batch.
pub(super) fn body(events: &[TaskCompletionEvent], keys: Keys) -> Result<String, Failure> {
    let mut body = "{\"events\":[".to_owned();
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        write_event(&mut body, event, keys)?;
    }
    body.push_str("]}");
    Ok(body)
}

fn write_event(out: &mut String, event: &TaskCompletionEvent, keys: Keys) -> Result<(), Failure> {
    let all = keys == Keys::All;
    write!(out, "{{\"instance_id\":\"{}\"", event.instance_id)?;
    write!(out, ",\"event_id\":\"{}\"", event.event_id)?;
    write!(out, ",\"timestamp\":\"{}\"", moment(event.timestamp))?;
    for (key, text) in [
        ("schema_version", event.schema_version.as_str()),
        ("task_type", event.task_type.as_str()),
        ("complexity", event.complexity.as_str()),
        ("harness", event.harness.as_str()),
        ("model", &event.model),
        ("provider", event.provider.as_str()),
        ("outcome", event.outcome.as_str()),
    ] {
        write!(out, ",\"{key}\":{}", serde_json::to_string(text)?)?;
    }
    for (key, count) in [
        ("task_duration_ms", event.task_duration_ms),
        ("estimated_input_tokens", event.estimated_input_tokens),
        ("estimated_output_tokens", event.estimated_output_tokens),
        ("actual_input_tokens", event.actual_input_tokens),
        ("actual_output_tokens", event.actual_output_tokens),
        ("estimated_cost_usd_micros", event.estimated_cost_usd_micros),
        ("actual_cost_usd_micros", event.actual_cost_usd_micros),
        ("context_compactions", event.context_compactions),
        ("context_rotations", event.context_rotations),
    ] {
        write!(out, ",\"{key}\":{}", number(count))?;
    }
    write!(out, ",\"context_utilization_final\":{}", share(event.context_utilization_final))?;
    write!(out, ",\"quality_gate_passed\":{}", event.quality_gate_passed)?;
    write!(out, ",\"quality_gates_run\":{}", words(&event.quality_gates_run)?)?;
    write!(out, ",\"quality_gates_failed\":{}", words(&event.quality_gates_failed)?)?;
    if all || event.retry_count > 0 {
        write!(out, ",\"retry_count\":{}", number(event.retry_count))?;
    }
    if all || event.language.is_some() {
        write!(out, ",\"language\":{}", serde_json::to_string(&event.language)?)?;
    }
    if all || event.repo_size_category.is_some() {
        let size = serde_json::to_string(&event.repo_size_category)?;
        write!(out, ",\"repo_size_category\":{size}")?;
    }
    out.push('}');
    Ok(())
}

fn words(gates: &[QualityGate]) -> Result<String, Failure> {
    Ok(serde_json::to_string(gates)?)
}

fn number(count: u64) -> String {
    let digits = count.to_string();
    let significant = digits.trim_end_matches('0');
    let short = format!("{significant}e{}", digits.len() - significant.len());
    if count > 0 && short.len() < digits.len() { short } else { digits }
}

/// Both spellings are the shortest ones that are read as the same number.
fn share(share: f64) -> String {
    let (plain, short) = (share.to_string(), format!("{share:e}"));
    if short.len() < plain.len() { short } else { plain }
}

fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (date, time) = (at.date(), at.time());
    let (month, day) = (u8::from(date.month()), date.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let mut text = format!("{:04}-{month:02}-{day:02}T", date.year());
    text.push_str(&format!("{hour:02}:{minute:02}:{second:02}"));
    if time.millisecond() > 0 {
        text.push_str(format!(".{:03}", time.millisecond()).trim_end_matches('0'));
    }
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mosaicstack_telemetry::EventBatch;

    use super::*;
    use crate::events::Runs;

    #[test]
    fn the_shortest_body_is_valid_and_says_the_same() {
        let runs = Runs::read().unwrap();
        let mut events: Vec<_> = runs.events(0..100).collect();
        events[0].context_utilization_final = 0.003;
        events[1].timestamp -= Duration::from_millis(42);
        events[2].retry_count = 7_000_000;
        for keys in [Keys::All, Keys::Required] {
            let body = body(&events, keys).unwrap();
            let read = EventBatch::from_json(body.as_bytes()).unwrap();
            assert_eq!(read.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), events);
        }
    }

    #[test]
    fn spellings_are_the_shortest() {
        assert_eq!([0, 10, 100, 1_000, 1_230_000].map(number), ["0", "10", "100", "1e3", "123e4"]);
        assert_eq!([0.0, 0.25, 0.001, 1.0].map(share), ["0", "0.25", "1e-3", "1"]);
        assert_eq!(moment(OffsetDateTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}

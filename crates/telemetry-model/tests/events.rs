//! Strict validation of events and batches.

use proptest::prelude::*;
use serde_json::{Value, json};
use telemetry_model::{
    EventBatch, EventBuilder, MAX_BATCH_BYTES, MAX_EVENT_BYTES, TaskCompletionEvent,
    ValidationErrors,
};
use uuid::Uuid;

fn event() -> Value {
    json!(EventBuilder::new(Uuid::from_u128(1)).build())
}

fn parse(document: &Value) -> Result<TaskCompletionEvent, ValidationErrors> {
    TaskCompletionEvent::from_json(document.to_string().as_bytes())
}

fn lines(errors: &ValidationErrors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn all_violations_of_an_event_are_reported() {
    let mut document = event();
    document["actual_input_tokens"] = json!(-1);
    document["context_utilization_final"] = json!(1.5);
    document["event_id"] = json!("not-a-uuid");
    document["schema_version"] = json!("2.0");
    document["timestamp"] = json!("2026-02-15T05:29:05+02:00");
    document["quality_gate_passed"] = json!("yes");
    document["quality_gates_run"] = json!(["build", 7, ""]);
    document["model"] = json!("m".repeat(257));
    document["language"] = json!({});
    document["a/b~c"] = json!(1);
    document.as_object_mut().unwrap().remove("outcome");
    let errors = parse(&document).unwrap_err();
    assert_eq!(
        lines(&errors),
        [
            "/a~1b~0c: expected no such key in schema 1.0",
            "/event_id: expected a UUID such as \"a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d\", found \
             \"not-a-uuid\"",
            "/schema_version: expected \"1.0\", found \"2.0\"",
            "/timestamp: expected a UTC date-time such as \"2026-02-15T05:29:05.123Z\", found \
             \"2026-02-15T05:29:05+02:00\"",
            "/model: expected 1 to 256 characters, found 257",
            "/actual_input_tokens: expected an integer from 0 to 9223372036854775807, found -1",
            "/quality_gate_passed: expected true or false, found \"yes\"",
            "/quality_gates_run/1: expected a string, found 7",
            "/quality_gates_run/2: expected 1 to 256 characters, found none",
            "/context_utilization_final: expected a number from 0.0 to 1.0, found 1.5",
            "/outcome: expected this key, found none",
            "/language: expected a string or null, found an object",
        ]
    );
    assert_eq!(errors.event_id(), None);
}

#[test]
fn three_keys_are_optional() {
    let keys: Vec<String> = event().as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys.len(), 26);
    for key in keys {
        let mut document = event();
        document.as_object_mut().unwrap().remove(&key);
        let optional = ["retry_count", "language", "repo_size_category"].contains(&key.as_str());
        assert_eq!(parse(&document).is_ok(), optional, "{key}");
        let lenient = serde_json::from_value::<TaskCompletionEvent>(document);
        assert_eq!(lenient.is_ok(), optional, "{key}");
    }
}

#[test]
fn every_key_rejects_all_other_types() {
    let values = [json!(null), json!(true), json!(7), json!(0.5), json!("x"), json!([]), json!({})];
    for (key, valid) in event().as_object().unwrap() {
        let accepts = |value: &&Value| {
            let mut document = event();
            document[key] = (*value).clone();
            let Err(errors) = parse(&document) else { return true };
            assert!(lines(&errors)[0].starts_with(&format!("/{key}: expected ")));
            assert_eq!(errors.len(), 1, "{errors}");
            false
        };
        let accepted: Vec<&Value> = values.iter().filter(accepts).collect();
        let expected = match valid {
            Value::String(_) if key.ends_with("_id") => vec![],
            Value::String(_) if ["timestamp", "schema_version"].contains(&&**key) => vec![],
            Value::String(_) => vec![&values[4]],
            Value::Null => vec![&values[0], &values[4]],
            Value::Bool(_) => vec![&values[1]],
            Value::Array(_) => vec![&values[5]],
            Value::Number(number) if number.is_f64() => vec![&values[3]],
            Value::Number(_) => vec![&values[2]],
            Value::Object(_) => unreachable!(),
        };
        assert_eq!(accepted, expected, "{key}");
    }
}

#[test]
fn invalid_events_of_a_batch_do_not_affect_others() {
    let mut invalid = event();
    invalid["model"] = json!(7);
    let batch = json!({"events": [event(), invalid, event(), null, event()]}).to_string();
    let results = EventBatch::from_json(batch.as_bytes()).unwrap();
    let valid: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(valid, [true, false, true, false, true]);
    let errors = results[1].as_ref().unwrap_err();
    assert_eq!(lines(errors), ["/events/1/model: expected a string, found 7"]);
    assert_eq!(json!(errors.event_id()), invalid["event_id"]);
    let errors = results[3].as_ref().unwrap_err();
    assert_eq!(lines(errors), ["/events/3: expected an object, found null"]);
}

#[test]
fn documents_other_than_batches_are_rejected() {
    let many = format!("{{\"events\":[{}0]}}", "0,".repeat(100_000));
    let large = " ".repeat(MAX_BATCH_BYTES + 1);
    for (json, message) in [
        ("[]", "expected an object, found an array"),
        ("{}", "/events: expected this key, found none"),
        (r#"{"events":{}}"#, "/events: expected an array, found an object"),
        (r#"{"events":[],"x":1}"#, "/x: expected no such key in schema 1.0"),
        (
            r#"{"events":[{"#,
            "expected valid JSON, found: EOF while parsing an object at line 1 \
                             column 12",
        ),
        (&many, "/events: expected at most 100 events, found 100001"),
        (&large, "expected at most 6553600 bytes, found 6553601"),
    ] {
        assert_eq!(EventBatch::from_json(json.as_bytes()).unwrap_err().to_string(), message);
    }
}

#[test]
fn repeated_keys_and_large_documents_are_rejected() {
    let repeated = event().to_string().replacen('{', r#"{"model":"a","#, 1);
    let large = " ".repeat(MAX_EVENT_BYTES + 1);
    for (json, message) in [
        (repeated, "/model: expected this key once, found it again"),
        (large, "expected at most 65536 bytes, found 65537"),
    ] {
        let errors = TaskCompletionEvent::from_json(json.as_bytes()).unwrap_err();
        assert_eq!(errors.to_string(), message);
    }
}

#[test]
fn errors_stay_small_for_large_documents() {
    let keys: Vec<String> = (0..5000).map(|index| format!("\"k{index}\":0")).collect();
    let json = format!("{{{}}}", keys.join(","));
    let errors = TaskCompletionEvent::from_json(json.as_bytes()).unwrap_err();
    assert_eq!((errors.iter().count(), errors.len()), (100, 5000 + 23));
    assert!(errors.to_string().ends_with("\nand 4923 more"));

    let long = "y".repeat(5_000);
    let mut document = event();
    for key in ["event_id", "timestamp", "task_duration_ms", "schema_version", "model", &long] {
        document[key] = json!(long);
    }
    let errors = parse(&document).unwrap_err();
    assert_eq!(errors.len(), 6);
    assert!(errors.to_string().len() < 1500, "{errors}");
}

#[test]
fn deep_documents_do_not_overflow_the_stack() {
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    for json in [deep.clone(), format!("{{\"model\":{deep}}}"), format!("{{\"x\":{deep}}}")] {
        assert!(TaskCompletionEvent::from_json(json.as_bytes()).is_err());
        assert!(EventBatch::from_json(format!("{{\"events\":[{json}]}}").as_bytes()).is_ok());
        let nested = EventBatch::from_json(format!("{{\"events\":{json}}}").as_bytes());
        assert!(nested.is_err() || nested.is_ok_and(|events| events[0].is_err()));
    }
}

#[test]
fn values_are_validated_like_documents() {
    let valid = EventBuilder::new(Uuid::from_u128(1)).build();
    let mut event = valid.clone();
    event.actual_cost_usd_micros = u64::MAX;
    event.context_utilization_final = f64::NAN;
    event.timestamp = time::Date::MIN.midnight().assume_utc();
    event.outcome = "".into();
    event.quality_gates_run = vec!["build".into(), "".into()];
    event.language = Some("x".repeat(257));
    let errors = event.validate().unwrap_err();
    assert_eq!(errors.event_id(), Some(event.event_id));
    assert_eq!(
        lines(&errors),
        [
            "/timestamp: expected a time in the years 0 to 9999, in UTC",
            "/actual_cost_usd_micros: expected an integer from 0 to 9223372036854775807, found \
             18446744073709551615",
            "/quality_gates_run/1: expected 1 to 256 characters, found none",
            "/context_utilization_final: expected a number from 0.0 to 1.0, found NaN",
            "/outcome: expected 1 to 256 characters, found none",
            "/language: expected 1 to 256 characters, found 257",
        ]
    );
    let batch = EventBatch::new(vec![valid, event]).unwrap();
    let errors = batch.validate().unwrap_err();
    assert_eq!(errors.iter().next().unwrap().pointer, "/events/1/timestamp");
}

#[test]
fn batches_have_at_most_100_events() {
    let event = EventBuilder::new(Uuid::from_u128(1)).build();
    let batch = EventBatch::new(vec![event.clone(); 100]).unwrap();
    assert_eq!((batch.events().len(), batch.into_events().len()), (100, 100));
    let error = EventBatch::new(vec![event; 101]).unwrap_err();
    assert_eq!(error.events.len(), 101);
    assert_eq!(error.to_string(), "expected at most 100 events in a batch, found 101: split them");
}

proptest! {
    #[test]
    fn damaged_events_are_rejected_or_valid(at in 0..900usize, byte: u8, cut in 0..900usize) {
        let mut json = event().to_string().into_bytes();
        let at = at % json.len();
        json[at] = byte;
        if let Ok(event) = TaskCompletionEvent::from_json(&json) {
            prop_assert_eq!(event.validate(), Ok(()));
            prop_assert!(serde_json::from_slice::<TaskCompletionEvent>(&json).is_ok());
        }
        let whole = json.len();
        json.truncate(cut);
        prop_assert!(TaskCompletionEvent::from_json(&json).is_err() || cut >= whole);
    }
}

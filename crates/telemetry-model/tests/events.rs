//! Documents of any origin get an answer: no panic, no unbounded memory, no deep recursion.

use proptest::prelude::*;
use serde_json::{Value, json};
use telemetry_model::{
    EventBatch, EventBuilder, MAX_BATCH_BYTES, MAX_EVENT_BYTES, TaskCompletionEvent,
    ValidationErrors,
};
use uuid::Uuid;

fn event() -> Value {
    serde_json::to_value(EventBuilder::new(Uuid::from_u128(1)).build()).expect("an event is JSON")
}

fn read(document: &Value) -> Result<TaskCompletionEvent, ValidationErrors> {
    TaskCompletionEvent::from_json(document.to_string().as_bytes())
}

fn lines(errors: &ValidationErrors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_is_named_with_its_place() {
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
    let errors = read(&document).unwrap_err();
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
fn the_optional_keys_may_be_absent_and_no_other() {
    let keys: Vec<String> = event().as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys.len(), 26);
    for key in keys {
        let mut document = event();
        document.as_object_mut().unwrap().remove(&key);
        let optional = ["retry_count", "language", "repo_size_category"].contains(&key.as_str());
        assert_eq!(read(&document).is_ok(), optional, "{key}");
        assert_eq!(
            serde_json::from_value::<TaskCompletionEvent>(document).is_ok(),
            optional,
            "{key}, leniently"
        );
    }
}

#[test]
fn every_key_refuses_every_other_type() {
    let values = [json!(null), json!(true), json!(7), json!(0.5), json!("x"), json!([]), json!({})];
    for (key, good) in event().as_object().unwrap() {
        let accepted: Vec<&Value> = values
            .iter()
            .filter(|value| {
                let mut document = event();
                document[key] = (*value).clone();
                match read(&document) {
                    Ok(_) => true,
                    Err(errors) => {
                        assert!(lines(&errors)[0].starts_with(&format!("/{key}: expected ")));
                        assert_eq!(errors.len(), 1, "{errors}");
                        false
                    }
                }
            })
            .collect();
        let expected = match good {
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
fn a_bad_event_never_hides_a_good_one() {
    let mut bad = event();
    bad["model"] = json!(7);
    let batch = json!({"events": [event(), bad, event(), null, event()]}).to_string();
    let answers = EventBatch::from_json(batch.as_bytes()).unwrap();
    let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, false, true]);
    let errors = answers[1].as_ref().unwrap_err();
    assert_eq!(lines(errors), ["/events/1/model: expected a string, found 7"]);
    assert_eq!(errors.event_id().unwrap().to_string(), bad["event_id"].as_str().unwrap());
    assert_eq!(
        lines(answers[3].as_ref().unwrap_err()),
        ["/events/3: expected an object, found null"]
    );
}

#[test]
fn what_is_no_batch_is_refused_as_a_whole() {
    let of = |json: &str| EventBatch::from_json(json.as_bytes()).unwrap_err().to_string();
    assert_eq!(of("[]"), "expected an object, found an array");
    assert_eq!(of("{}"), "/events: expected this key, found none");
    assert_eq!(of(r#"{"events":{}}"#), "/events: expected an array, found an object");
    assert_eq!(of(r#"{"events":[],"x":1}"#), "/x: expected no such key in schema 1.0");
    let count = if cfg!(miri) { 1_000 } else { 100_000 };
    let many = format!("{{\"events\":[{}0]}}", "0,".repeat(count));
    let found = format!("/events: expected at most 100 events, found {}", count + 1);
    assert_eq!(of(&many), found);
    assert!(of(r#"{"events":[{"#).starts_with("expected valid JSON, found: EOF"));
}

#[test]
fn repeated_keys_are_named() {
    let json = event().to_string().replacen('{', r#"{"model":"a","#, 1);
    let errors = TaskCompletionEvent::from_json(json.as_bytes()).unwrap_err();
    assert_eq!(lines(&errors), ["/model: expected this key once, found it again"]);
}

#[test]
fn size_is_bounded_before_anything_is_read() {
    let errors = TaskCompletionEvent::from_json(&vec![b' '; MAX_EVENT_BYTES + 1]).unwrap_err();
    assert_eq!(errors.to_string(), "expected at most 65536 bytes, found 65537");
    let errors = EventBatch::from_json(&vec![b' '; MAX_BATCH_BYTES + 1]).unwrap_err();
    assert_eq!(errors.to_string(), "expected at most 6553600 bytes, found 6553601");
}

#[test]
fn a_flood_of_faults_is_counted_not_kept() {
    let keys: Vec<String> = (0..5000).map(|index| format!("\"k{index}\":0")).collect();
    let json = format!("{{{}}}", keys.join(","));
    let errors = TaskCompletionEvent::from_json(json.as_bytes()).unwrap_err();
    assert_eq!(errors.iter().count(), 100);
    assert_eq!(errors.len(), 5000 + 23);
    assert!(errors.to_string().ends_with("\nand 4923 more"));
}

#[test]
fn depth_does_not_recurse() {
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    for json in [deep.clone(), format!("{{\"model\":{deep}}}"), format!("{{\"x\":{deep}}}")] {
        assert!(TaskCompletionEvent::from_json(json.as_bytes()).is_err());
        assert!(EventBatch::from_json(format!("{{\"events\":[{json}]}}").as_bytes()).is_ok());
        let nested = EventBatch::from_json(format!("{{\"events\":{json}}}").as_bytes());
        assert!(nested.is_err() || nested.is_ok_and(|answers| answers[0].is_err()));
    }
}

#[test]
fn messages_do_not_repeat_what_is_long() {
    let long = "y".repeat(5_000);
    let mut document = event();
    for key in ["event_id", "timestamp", "task_duration_ms", "schema_version", "model"] {
        document[key] = json!(long);
    }
    document[&long] = json!(long);
    let errors = read(&document).unwrap_err();
    assert_eq!(errors.len(), 6);
    assert!(errors.to_string().len() < 1500, "{errors}");
}

#[test]
fn a_value_is_checked_like_a_document() {
    let mut event = EventBuilder::new(Uuid::from_u128(1)).build();
    event.actual_cost_usd_micros = u64::MAX;
    event.context_utilization_final = f64::NAN;
    event.timestamp = time::Date::MIN.midnight().assume_utc();
    event.outcome = "".into();
    let errors = event.validate().unwrap_err();
    let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        ["/timestamp", "/actual_cost_usd_micros", "/context_utilization_final", "/outcome"]
    );
    let good = EventBuilder::new(Uuid::from_u128(1)).build();
    let batch = EventBatch::new(vec![good, event]).unwrap();
    let errors = batch.validate().unwrap_err();
    assert_eq!(errors.iter().next().unwrap().pointer, "/events/1/timestamp");
}

#[test]
fn a_batch_has_at_most_a_hundred_events() {
    let event = EventBuilder::new(Uuid::from_u128(1)).build();
    assert_eq!(EventBatch::new(vec![event.clone(); 100]).unwrap().events().len(), 100);
    let error = EventBatch::new(vec![event; 101]).unwrap_err();
    assert_eq!(error.events.len(), 101);
    assert_eq!(error.to_string(), "expected at most 100 events in a batch, found 101: split them");
}

proptest! {
    #[test]
    fn bytes_get_an_answer(bytes: Vec<u8>) {
        let _ = TaskCompletionEvent::from_json(&bytes);
        let _ = EventBatch::from_json(&bytes);
    }

    #[test]
    fn a_damaged_event_gets_an_answer(at in 0..900usize, byte: u8, cut in 0..900usize) {
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

//! JSON Schemas: the files are current, and a validator agrees with the strict validation.

mod corpus;
mod mutation;

use std::{fs, path::Path};

use jsonschema::Validator;
use serde_json::{Value, json};
use telemetry_model::{
    EventBatch, EventBuilder, PredictionRequest, PredictionResults, TaskCompletionEvent, schema,
    schemars::Schema,
};
use uuid::Uuid;

/// A body, its schema and its strict validation.
struct Body {
    name: &'static str,
    schema: Value,
    validator: Validator,
    accepts: fn(&[u8]) -> bool,
}

impl Body {
    fn new(name: &'static str, schema: Schema, accepts: fn(&[u8]) -> bool) -> Self {
        let schema = schema.to_value();
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        Self { name, schema, validator, accepts }
    }

    fn all() -> [Self; 4] {
        [
            Self::new("event", schema::event(), |json| {
                TaskCompletionEvent::from_json(json).is_ok()
            }),
            Self::new("batch", schema::batch(), |json| {
                EventBatch::from_json(json).is_ok_and(|events| events.iter().all(Result::is_ok))
            }),
            Self::new("predictions-request", schema::predictions_request(), |json| {
                PredictionRequest::from_json(json).is_ok()
            }),
            Self::new("predictions-response", schema::predictions_response(), |json| {
                PredictionResults::from_json(json).is_ok()
            }),
        ]
    }

    /// True if the document is valid; an error if schema and validation disagree.
    fn validity(&self, json: &str) -> Result<bool, String> {
        let document: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let (by_schema, by_validation) =
            (self.validator.is_valid(&document), (self.accepts)(json.as_bytes()));
        if by_schema == by_validation {
            return Ok(by_validation);
        }
        let errors: Vec<_> = self.validator.iter_errors(&document).collect();
        Err(format!("{}: the schema says {by_schema} for {json}: {errors:?}", self.name))
    }
}

fn event() -> TaskCompletionEvent {
    EventBuilder::new(Uuid::from_u128(1)).build()
}

#[test]
fn schema_files_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    for Body { name, schema, .. } in Body::all() {
        let file = fs::read_to_string(folder.join(format!("{name}.schema.json"))).unwrap();
        assert!(
            serde_json::from_str::<Value>(&file).unwrap() == schema,
            "{name}.schema.json is stale: \
             cargo run -p telemetry-model --features schemars --example schema"
        );
    }
}

#[test]
fn schemas_are_valid_by_their_own_draft() {
    for Body { name, schema, .. } in Body::all() {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{name}");
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{name}");
        // Links of rustdoc, and number formats that JSON Schema does not define.
        let text = schema.to_string();
        for word in ["[`", "uint64", "double", "Self::", "\"enum\""] {
            assert!(!text.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn batch_of_built_events_is_valid_up_to_its_limit() {
    let [_, batch, ..] = Body::all();
    for (count, accepted) in [(0, true), (1, true), (100, true), (101, false)] {
        let json = json!({ "events": vec![event(); count] }).to_string();
        assert_eq!(batch.validity(&json), Ok(accepted), "{count} events");
    }
}

#[test]
fn limits_beyond_json_schema_are_validated_alone() {
    let [of_events, of_batches, _, of_answers] = Body::all();
    let json = json!(event()).to_string();
    let twice = json.replacen('{', r#"{"model":"a","#, 1);
    let large = json + &" ".repeat(telemetry_model::MAX_EVENT_BYTES);
    for json in [twice.as_str(), &large] {
        assert!(of_events.validity(json).is_err());
        assert!(!(of_events.accepts)(json.as_bytes()));
        let batch = format!("{{\"events\":[{json}]}}");
        assert_eq!(of_batches.validity(&batch).is_err(), json == twice);
    }
    let json = json!(event()).to_string();
    for count in ["1.00000000000000001", "-1e-400"] {
        let json = json.replacen("\"retry_count\":0", &format!("\"retry_count\":{count}"), 1);
        assert!(of_events.validity(&json).is_err(), "{count}");
        assert!(!(of_events.accepts)(json.as_bytes()), "{count}");
    }
    let none = r#"{"prediction":null,"metadata":{"sample_size":0,"confidence":"none"}}"#;
    let repeated = format!(r#"{{"results":[],"results":[{none}]}}"#);
    assert!(of_answers.validity(&repeated).is_err());
}

#[test]
fn valid_events_pass_asserted_formats() {
    let [Body { schema, .. }, ..] = Body::all();
    let strict = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for case in corpus::cases("event").into_iter().filter(|case| case.is_valid) {
        let document = serde_json::from_str(&case.json).unwrap();
        assert!(strict.is_valid(&document), "{}", case.name);
    }
}

#[test]
fn trailing_line_break_is_invalid_also_where_the_dollar_sign_ignores_it() {
    let [Body { schema, .. }, ..] = Body::all();
    // As Python and Perl read `$`.
    let text = schema.to_string().replace("$\"", "\\n?$\"");
    assert_ne!(text, schema.to_string());
    let schema = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let event = json!(event());
    assert!(validator.is_valid(&event));
    for key in ["instance_id", "event_id", "timestamp"] {
        let mut event = event.clone();
        event[key] = format!("{}\n", event[key].as_str().unwrap()).into();
        assert!(!validator.is_valid(&event), "{key}");
    }
}

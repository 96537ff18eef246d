//! JSON Schemas (draft 2020-12) of the documents that the strict validation accepts.
//!
//! The types implement `schemars::JsonSchema`; this module has the schemas of the four bodies as whole
//! documents. Listed values of enumerations are `examples`, because other values are accepted as well.
//!
//! JSON Schema cannot express all rules: only the strict validation rejects repeated keys, documents
//! above the maximum size (such as [`MAX_EVENT_BYTES`](crate::MAX_EVENT_BYTES)) and malformed JSON. A
//! validator that stores numbers as floats accepts numbers that round to integers
//! (`1.00000000000000001`, `-1e-400`), and may ignore the last digits of large counts.
//!
//! ```
//! use telemetry_model::schema;
//!
//! let schema = schema::event();
//! let count = &schema.as_value()["properties"]["actual_input_tokens"];
//! assert_eq!(count["type"], "integer");
//! assert_eq!(count["maximum"], i64::MAX);
//! ```

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    EventBatch, FallbackLevel, MAX_ITEMS, MAX_TEXT_CHARS, Percentiles, PredictionRequest,
    PredictionResults, TaskCompletionEvent, count::MAX_COUNT, text::Text,
};

const UUID: &str = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";

/// A valid date, a time without leap seconds, and UTC. The second line matches 29 February.
const TIMESTAMP: &str = concat!(
    "^([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)",
    "|02-(0[1-9]|1[0-9]|2[0-8]))",
    "|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)",
    "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?(Z|[+-]00:00)$",
);

/// Schema for [`TaskCompletionEvent::from_json`].
#[must_use]
pub fn event() -> Schema {
    root::<TaskCompletionEvent>()
}

/// Schema for [`EventBatch::from_json`] without inner errors.
#[must_use]
pub fn batch() -> Schema {
    root::<EventBatch>()
}

/// Schema for [`PredictionRequest::from_json`].
#[must_use]
pub fn predictions_request() -> Schema {
    root::<PredictionRequest>()
}

/// Schema for [`PredictionResults::from_json`].
#[must_use]
pub fn predictions_response() -> Schema {
    root::<PredictionResults>()
}

fn root<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

/// Adjusts a derived object schema to the strict validation: limits unsigned integers to counts, makes
/// floats non-negative and shortens descriptions.
pub(crate) fn strict(schema: &mut Schema) {
    prose(schema);
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(|it| it.values_mut()) {
        let Ok(property) = <&mut Schema>::try_from(property) else { continue };
        prose(property);
        match property.get("format").and_then(Value::as_str) {
            Some("uint64") => {
                property.remove("format");
                property.insert("maximum".into(), MAX_COUNT.into());
            }
            Some("double") => {
                property.remove("format");
                property.insert("minimum".into(), 0.into());
            }
            _ => {}
        }
    }
}

/// Same as [`strict`]; additionally requires a prediction if and only if there is confidence.
pub(crate) fn response(schema: &mut Schema) {
    strict(schema);
    schema.insert("required".into(), json!(["prediction", "metadata"]));
    let none = json!({
        "properties": {
            "metadata": {
                "properties": { "confidence": { "const": "none" } },
                "required": ["confidence"],
            },
        },
    });
    schema.insert("if".into(), none);
    schema.insert("then".into(), json!({ "properties": { "prediction": { "type": "null" } } }));
    schema.insert("else".into(), json!({ "properties": { "prediction": { "type": "object" } } }));
}

/// Reduces a description to the first paragraph, without Rust links.
fn prose(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraph = text.split("\n\n").next().unwrap_or_default();
        *text = paragraph.replace('\n', " ").replace("[`", "`").replace("`]", "`");
    }
}

/// Schema of an open enumeration.
pub(crate) fn open_word(description: &str, listed: &[&str]) -> Schema {
    let mut schema = json_schema!({
        "description": description.trim(),
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_TEXT_CHARS,
        "examples": listed,
    });
    prose(&mut schema);
    schema
}

/// Starting point of [`restrict`].
pub(crate) fn any(_: &mut SchemaGenerator) -> Schema {
    Schema::default()
}

/// Adds the restrictions of an event field of type `T`.
pub(crate) fn restrict<T: FieldSchema>(schema: &mut Schema) {
    if let Value::Object(restrictions) = T::field_schema().to_value() {
        for (key, value) in restrictions {
            if schema.get(&key).is_none() {
                schema.insert(key, value);
            }
        }
    }
}

/// Schema of a type of event field.
pub(crate) trait FieldSchema {
    fn field_schema() -> Schema;
}

impl FieldSchema for Uuid {
    fn field_schema() -> Schema {
        // In some dialects `$` also matches before a final line break; the length excludes that.
        json_schema!({ "type": "string", "format": "uuid", "pattern": UUID, "maxLength": 36 })
    }
}

impl FieldSchema for OffsetDateTime {
    fn field_schema() -> Schema {
        // `not` excludes a final line break, as the length does for UUIDs.
        json_schema!({
            "type": "string",
            "format": "date-time",
            "pattern": TIMESTAMP,
            "not": { "pattern": "\n" },
        })
    }
}

impl FieldSchema for u64 {
    fn field_schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": MAX_COUNT })
    }
}

impl FieldSchema for f64 {
    fn field_schema() -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1.0 })
    }
}

impl FieldSchema for bool {
    fn field_schema() -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

impl<T: Text + JsonSchema> FieldSchema for T {
    fn field_schema() -> Schema {
        if let Some(only) = T::ONLY {
            return json_schema!({ "type": "string", "const": only });
        }
        let mut schema = T::json_schema(&mut SchemaGenerator::default());
        schema.insert("minLength".into(), 1.into());
        schema.insert("maxLength".into(), MAX_TEXT_CHARS.into());
        schema
    }
}

impl<T: Text + JsonSchema> FieldSchema for Option<T> {
    fn field_schema() -> Schema {
        let mut schema = T::field_schema();
        schema.insert("type".into(), json!(["string", "null"]));
        schema
    }
}

impl<T: Text + JsonSchema> FieldSchema for Vec<T> {
    fn field_schema() -> Schema {
        json_schema!({ "type": "array", "items": T::field_schema(), "maxItems": MAX_ITEMS })
    }
}

impl JsonSchema for Percentiles {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Percentiles".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "median": {
                    "description": "Median.",
                    "type": "number",
                    "minimum": 0,
                },
            },
            "additionalProperties": { "type": "number", "minimum": 0 },
            "required": ["median"],
        })
    }
}

impl JsonSchema for FallbackLevel {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FallbackLevel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "minimum": 0 })
    }
}

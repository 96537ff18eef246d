//! The event that reports one completed task: the list of its fields.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Complexity, EventBuilder, Harness, Outcome, Provider, QualityGate, RepoSizeCategory,
    SchemaVersion, TaskType, ValidationErrors,
    count::MAX_COUNT,
    field::{self, Field},
    reader::{Keys, Reader},
};

/// Defines the event from the list of its fields, which is the only place that names them all.
///
/// From it follow the struct, its serde and JSON Schema implementations, the builder's defaults and
/// normalization, the range checks, strict reading and the JSON writer. The type of a field decides
/// how each of them treats it: see [`Field`]. `#[serde(default)]` marks a field that may be absent.
/// A field that applications set needs a setter in `builder.rs` as well; setters are written by hand
/// because they group fields.
macro_rules! event {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])+
                $(#[serde($default:ident)])?
                pub $field:ident: $type:ty,
            )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct $name {
            $(
                $(#[doc = $field_doc])+
                #[serde(with = "field")]
                $(#[serde($default)])?
                pub $field: $type,
            )+
        }

        impl $name {
            const KEYS: Keys = Keys {
                source: "schema 1.0",
                names: &[$(stringify!($field),)+],
                optional: &[$($(event!(@name $default $field),)?)+],
            };

            pub(crate) fn initial() -> Self {
                Self { $($field: Field::initial(),)+ }
            }

            pub(crate) fn normalize(&mut self) {
                $(self.$field.normalize();)+
            }

            pub(crate) fn check(&self, errors: &mut ValidationErrors) {
                $(errors.record(format_args!("/{}", stringify!($field)), self.$field.check());)+
            }

            pub(crate) fn read(json: &[u8]) -> Result<(Self, ValidationErrors), ValidationErrors> {
                let mut reader = Reader::new(json, &Self::KEYS)?;
                let event = Self {
                    $($field: Field::read_or_initial(&mut reader, stringify!($field)),)+
                };
                Ok((event, reader.errors))
            }

            fn write(&self, out: &mut Vec<u8>) {
                let start = out.len();
                $(
                    out.extend_from_slice(concat!(",\"", stringify!($field), "\":").as_bytes());
                    self.$field.write(out);
                )+
                // The first of the commas is the brace.
                out[start] = b'{';
                out.push(b'}');
            }
        }

        #[cfg(feature = "schemars")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut object = crate::schema::Object::new(concat!($($doc, "\n"),+));
                $(object.add::<$type>(
                    stringify!($field),
                    concat!($($field_doc, "\n"),+),
                    Self::KEYS.is_optional(stringify!($field)),
                    generator,
                );)+
                object.into_schema()
            }
        }
    };
    (@name default $field:ident) => { stringify!($field) };
}

event! {
    /// One completed AI-coding task, as schema 1.0 describes it.
    ///
    /// Made by an [`EventBuilder`] (which keeps every field in its range) or read from JSON. Reading
    /// through serde is lenient: unknown keys are ignored and ranges are not checked. [`from_json`]
    /// and [`validate`] are strict.
    ///
    /// Serialization writes every key, `null` for the two that are unset, and is deterministic: equal
    /// events give equal bytes.
    ///
    /// [`from_json`]: Self::from_json
    /// [`validate`]: Self::validate
    pub struct TaskCompletionEvent {
        /// The Mosaic Stack installation that reports; it must belong to the API key.
        pub instance_id: Uuid,
        /// Identifies the event. A server is assumed to take a repeated one once.
        pub event_id: Uuid,
        /// The version of the schema.
        ///
        /// Always [`SchemaVersion::V1_0`] in events that this crate builds.
        pub schema_version: SchemaVersion,
        /// When the task was completed, in UTC.
        ///
        /// Written in whole milliseconds.
        pub timestamp: OffsetDateTime,
        /// How long the task took, in milliseconds.
        pub task_duration_ms: u64,
        /// What kind of work the task was.
        pub task_type: TaskType,
        /// How hard the task was thought to be.
        pub complexity: Complexity,
        /// The tool that drove the model.
        pub harness: Harness,
        /// The model's name as its provider writes it.
        pub model: String,
        /// Who served the model.
        pub provider: Provider,
        /// Input tokens, as estimated before the task.
        pub estimated_input_tokens: u64,
        /// Output tokens, as estimated before the task.
        pub estimated_output_tokens: u64,
        /// Input tokens consumed.
        pub actual_input_tokens: u64,
        /// Output tokens generated.
        pub actual_output_tokens: u64,
        /// Cost in microdollars (1 USD = 1,000,000), as estimated before the task.
        pub estimated_cost_usd_micros: u64,
        /// Cost in microdollars (1 USD = 1,000,000).
        pub actual_cost_usd_micros: u64,
        /// Whether the quality gates were passed.
        pub quality_gate_passed: bool,
        /// The quality gates that ran.
        pub quality_gates_run: Vec<QualityGate>,
        /// Those of them that failed.
        pub quality_gates_failed: Vec<QualityGate>,
        /// How often the context was compacted.
        pub context_compactions: u64,
        /// How often the context was rotated.
        pub context_rotations: u64,
        /// The share of the context window in use at the end, 0.0 to 1.0.
        pub context_utilization_final: f64,
        /// How the task ended.
        pub outcome: Outcome,
        /// How often the task was tried again.
        #[serde(default)]
        pub retry_count: u64,
        /// The programming language.
        #[serde(default)]
        pub language: Option<String>,
        /// The size of the repository.
        #[serde(default)]
        pub repo_size_category: Option<RepoSizeCategory>,
    }
}

impl TaskCompletionEvent {
    /// The highest count that the wire carries: integers are signed there.
    pub const MAX_COUNT: u64 = MAX_COUNT;

    /// Starts an event of the given installation.
    pub fn builder(instance_id: Uuid) -> EventBuilder {
        EventBuilder::new(instance_id)
    }

    /// Appends the event to `out` as JSON: the very bytes of `serde_json::to_writer`, in much less
    /// time. It cannot fail, whatever the fields hold.
    ///
    /// ```
    /// use telemetry_model::TaskCompletionEvent;
    ///
    /// let event = TaskCompletionEvent::builder(uuid::Uuid::from_u128(1)).build();
    /// let mut line = Vec::new();
    /// event.write_json(&mut line);
    /// assert_eq!(line, serde_json::to_vec(&event)?);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn write_json(&self, out: &mut Vec<u8>) {
        self.write(out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::{Value, json};

    use super::*;

    /// Events with any values, made from the JSON of an initial one so that no field is named.
    fn event() -> impl Strategy<Value = TaskCompletionEvent> {
        let Value::Object(members) = json!(TaskCompletionEvent::initial()) else { unreachable!() };
        let members: Vec<_> =
            members.into_iter().map(|(key, value)| (Just(key), like(&value))).collect();
        members.prop_map(|members| {
            serde_json::from_value(Value::Object(members.into_iter().collect())).unwrap()
        })
    }

    /// Values that are read as the same type as `value`.
    fn like(value: &Value) -> BoxedStrategy<Value> {
        match value {
            Value::Null => prop_oneof![Just(Value::Null), text()].boxed(),
            Value::Bool(_) => any::<bool>().prop_map(Value::from).boxed(),
            Value::Number(number) if number.is_f64() => {
                prop_oneof![0.0..1.0, proptest::num::f64::NORMAL].prop_map(Value::from).boxed()
            }
            Value::Number(_) => {
                let bit = (0..64u32).prop_map(|bit| 1 << bit);
                prop_oneof![any::<u64>(), 0..1000u64, bit].prop_map(Value::from).boxed()
            }
            Value::String(text) if text.parse::<Uuid>().is_ok() => {
                any::<u128>().prop_map(|id| json!(Uuid::from_u128(id))).boxed()
            }
            // Tested in `timestamp.rs`.
            Value::String(text) if text.starts_with("1970-") => Just(value.clone()).boxed(),
            Value::String(_) => text().boxed(),
            Value::Array(_) => vec(text(), 0..20).prop_map(Value::from).boxed(),
            Value::Object(_) => unreachable!(),
        }
    }

    /// Text of every kind: empty, listed, plain, escaped, and not escaped though it might be.
    fn text() -> impl Strategy<Value = Value> {
        prop_oneof![
            "|unknown|build|1\\.0",
            "[ -~]{1,40}",
            "[\"\\\\/\u{0}-\u{1f}\u{7f}a-f]{1,40}",
            "[é-ÿ\u{80}\u{2028}\u{2029}\u{feff}漢\u{1f600}\"]{1,20}",
            vec(any::<char>(), 0..300).prop_map(String::from_iter),
        ]
        .prop_map(Value::from)
    }

    fn written(event: &TaskCompletionEvent) -> String {
        let mut out = b"before".to_vec();
        event.write_json(&mut out);
        String::from_utf8(out.split_off(b"before".len())).unwrap()
    }

    proptest! {
        #[test]
        fn write_json_gives_the_bytes_of_serde(event in event()) {
            prop_assert_eq!(written(&event), serde_json::to_string(&event).unwrap());
        }

        #[test]
        fn normalized_events_are_valid(mut event in event()) {
            event.normalize();
            prop_assert_eq!(event.validate(), Ok(()));
            let json = serde_json::to_vec(&event).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<TaskCompletionEvent>(&json).unwrap(), &event);
            prop_assert_eq!(TaskCompletionEvent::from_json(&json), Ok(event));
        }
    }

    #[test]
    fn write_json_escapes_every_character_as_serde_does() {
        let mut event = TaskCompletionEvent::initial();
        for character in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{d7ff}', '\u{10ffff}']) {
            event.model = format!("{character}a long text with {character} in it{character}");
            event.language = Some(character.into());
            assert_eq!(written(&event), serde_json::to_string(&event).unwrap());
        }
    }

    #[test]
    fn values_that_json_cannot_hold_are_written_as_by_serde_and_normalized() {
        let mut event = TaskCompletionEvent::initial();
        event.timestamp = time::Date::MIN.midnight().assume_utc();
        for (share, normalized) in
            [(f64::NAN, 0.0), (f64::INFINITY, 1.0), (f64::NEG_INFINITY, 0.0), (-0.0, 0.0)]
        {
            event.context_utilization_final = share;
            assert_eq!(written(&event), serde_json::to_string(&event).unwrap());
            let mut event = event.clone();
            event.normalize();
            assert_eq!(event.context_utilization_final.to_bits(), f64::to_bits(normalized));
            assert_eq!(event.validate(), Ok(()));
        }
    }

    #[test]
    fn example_events_are_written_as_they_were_read() {
        for line in include_str!("../examples/data/events.jsonl").lines() {
            let event = TaskCompletionEvent::from_json(line.as_bytes()).unwrap();
            assert_eq!(written(&event), line);
        }
    }
}

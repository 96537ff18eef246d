//! The event type, defined by one list of fields.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

#[cfg(feature = "schemars")]
use crate::schema;
use crate::{
    Complexity, EventBuilder, Harness, Outcome, Provider, QualityGate, RepoSizeCategory,
    SchemaVersion, TaskType, ValidationErrors,
    count::MAX_COUNT,
    field::{self, Field},
    reader::{Keys, Reader},
};

/// Generates everything that handles all fields of the event from its struct definition.
///
/// That is the struct with its serde and JSON Schema implementations, the builder's defaults and
/// normalization, the range checks, strict reading and the JSON writer. To add a field, add it to the
/// invocation below; its type selects the behavior (see [`Field`]). `#[serde(default)]` makes its key
/// optional. Setters are separate, in `builder.rs`, because some set several fields.
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
        #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schemars", schemars(deny_unknown_fields, transform = schema::strict))]
        #[non_exhaustive]
        pub struct $name {
            $(
                $(#[doc = $field_doc])+
                #[serde(with = "field")]
                $(#[serde($default)])?
                #[cfg_attr(feature = "schemars", schemars(
                    schema_with = "schema::any",
                    transform = schema::restrict::<$type>,
                ))]
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
                // The brace replaces the comma before the first field.
                out[start] = b'{';
                out.push(b'}');
            }
        }
    };
    (@name default $field:ident) => { stringify!($field) };
}

event! {
    /// Report of one completed AI coding task, in schema 1.0.
    ///
    /// Build it with an [`EventBuilder`], which keeps every field in its range, or read it from JSON.
    /// Deserialization with serde is lenient: it ignores unknown keys and checks no ranges.
    /// [`from_json`] and [`validate`] are strict.
    ///
    /// Serialization is deterministic and writes every key; an unset optional field is `null`.
    ///
    /// [`from_json`]: Self::from_json
    /// [`validate`]: Self::validate
    pub struct TaskCompletionEvent {
        /// ID of the reporting Mosaic Stack installation; it must belong to the API key.
        pub instance_id: Uuid,
        /// ID of the event. Servers are assumed to deduplicate events by it.
        pub event_id: Uuid,
        /// Version of the event schema.
        ///
        /// Always [`SchemaVersion::V1_0`] in events that this crate builds.
        pub schema_version: SchemaVersion,
        /// Completion time of the task, in UTC.
        ///
        /// Serialized in whole milliseconds.
        pub timestamp: OffsetDateTime,
        /// Duration of the task, in milliseconds.
        pub task_duration_ms: u64,
        /// Kind of work.
        pub task_type: TaskType,
        /// Estimated difficulty of the task.
        pub complexity: Complexity,
        /// Tool that ran the model.
        pub harness: Harness,
        /// Model name, as the provider spells it.
        pub model: String,
        /// Provider that served the model.
        pub provider: Provider,
        /// Input tokens estimated before the task.
        pub estimated_input_tokens: u64,
        /// Output tokens estimated before the task.
        pub estimated_output_tokens: u64,
        /// Input tokens consumed, cached or not.
        pub actual_input_tokens: u64,
        /// Output tokens generated, with reasoning.
        pub actual_output_tokens: u64,
        /// Cost estimated before the task, in microdollars (1 USD = 1,000,000).
        pub estimated_cost_usd_micros: u64,
        /// Actual cost, in microdollars (1 USD = 1,000,000).
        pub actual_cost_usd_micros: u64,
        /// `true` if the quality gates passed.
        pub quality_gate_passed: bool,
        /// Quality gates that ran.
        pub quality_gates_run: Vec<QualityGate>,
        /// Quality gates that failed.
        pub quality_gates_failed: Vec<QualityGate>,
        /// Number of context compactions.
        pub context_compactions: u64,
        /// Number of context rotations.
        pub context_rotations: u64,
        /// Share of the context window in use at the end, from 0.0 to 1.0.
        pub context_utilization_final: f64,
        /// Result of the task.
        pub outcome: Outcome,
        /// Number of retries of the task.
        #[serde(default)]
        pub retry_count: u64,
        /// Programming language.
        #[serde(default)]
        pub language: Option<String>,
        /// Size of the repository.
        #[serde(default)]
        pub repo_size_category: Option<RepoSizeCategory>,
    }
}

impl TaskCompletionEvent {
    /// Maximum of every count: integers are signed on the wire.
    pub const MAX_COUNT: u64 = MAX_COUNT;

    /// Creates a builder for an event of the given installation.
    pub fn builder(instance_id: Uuid) -> EventBuilder {
        EventBuilder::new(instance_id)
    }

    /// Appends the event to `out` as JSON: the same bytes as `serde_json::to_writer`, in about a
    /// quarter of the time. Infallible for any field values.
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
    use crate::{MAX_EVENT_BYTES, PredictionQuery, Quality};

    /// Events with arbitrary values, made from the JSON of an initial event to cover every field.
    fn event() -> impl Strategy<Value = TaskCompletionEvent> {
        let Value::Object(members) = json!(TaskCompletionEvent::initial()) else { unreachable!() };
        let members: Vec<_> =
            members.into_iter().map(|(key, value)| (Just(key), like(&value))).collect();
        members.prop_map(|members| {
            serde_json::from_value(Value::Object(members.into_iter().collect())).unwrap()
        })
    }

    /// Arbitrary values of the same type as `value`.
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

    /// Empty, listed, plain and escaped text, and text that may but need not be escaped.
    fn text() -> impl Strategy<Value = Value> {
        prop_oneof![
            "|unknown|build|1\\.0",
            "[ -~]{1,40}",
            "[\"\\\\/\u{0}-\u{1f}\u{7f}a-f]{1,40}",
            "[é-ÿ\u{80}\u{2028}\u{2029}\u{feff}漢\u{1f600}\"]{1,20}",
            vec(any::<char>(), 0..300).prop_map(String::from_iter),
            // The longest in JSON.
            Just("\u{1}".repeat(300)),
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
        fn write_json_matches_serde(event in event()) {
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
    fn largest_event_is_within_the_limit_of_from_json() {
        let text = "\u{1}".repeat(1000);
        let gates = vec![QualityGate::from(&*text); 1000];
        let event = TaskCompletionEvent::builder(Uuid::nil())
            .query(&PredictionQuery::new(&*text, &*text, &*text, &*text))
            .harness(&*text)
            .outcome(&*text)
            .quality(Quality { gates_run: gates.clone(), gates_failed: gates, passed: false })
            .language(&*text)
            .repo_size(&*text)
            .build();
        let json = written(&event);
        assert!(json.len() > MAX_EVENT_BYTES * 9 / 10, "{}", json.len());
        assert_eq!(TaskCompletionEvent::from_json(json.as_bytes()), Ok(event));
    }

    #[test]
    fn write_json_escapes_like_serde() {
        let mut event = TaskCompletionEvent::initial();
        for character in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{d7ff}', '\u{10ffff}']) {
            event.model = format!("{character}a long text with {character} in it{character}");
            event.language = Some(character.into());
            assert_eq!(written(&event), serde_json::to_string(&event).unwrap());
        }
    }

    #[test]
    fn non_finite_shares_and_early_times_are_written_as_by_serde_and_normalized() {
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
    fn example_events_survive_reading_and_writing() {
        for line in include_str!("../examples/data/events.jsonl").lines() {
            let event = TaskCompletionEvent::from_json(line.as_bytes()).unwrap();
            assert_eq!(written(&event), line);
        }
    }
}

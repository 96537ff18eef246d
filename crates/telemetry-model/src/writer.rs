//! Events as JSON, by hand: the bytes are serde's, for a fraction of the time.

use time::OffsetDateTime;
use uuid::{Uuid, fmt::Hyphenated};

use crate::{TaskCompletionEvent, timestamp};

/// Appends the members of an object in the order given, which must be all fields of the type.
macro_rules! object {
    ($value:expr => $out:expr, { $first:ident, $($field:ident,)+ }) => {{
        let (Self { $first, $($field,)+ }, out) = ($value, $out);
        out.extend_from_slice(concat!("{\"", stringify!($first), "\":").as_bytes());
        $first.append(out);
        $(
            out.extend_from_slice(concat!(",\"", stringify!($field), "\":").as_bytes());
            $field.append(out);
        )+
        out.push(b'}');
    }};
}

impl TaskCompletionEvent {
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
        object!(self => out, {
            instance_id,
            event_id,
            schema_version,
            timestamp,
            task_duration_ms,
            task_type,
            complexity,
            harness,
            model,
            provider,
            estimated_input_tokens,
            estimated_output_tokens,
            actual_input_tokens,
            actual_output_tokens,
            estimated_cost_usd_micros,
            actual_cost_usd_micros,
            quality_gate_passed,
            quality_gates_run,
            quality_gates_failed,
            context_compactions,
            context_rotations,
            context_utilization_final,
            outcome,
            retry_count,
            language,
            repo_size_category,
        });
    }
}

/// A value of JSON.
pub(crate) trait Append {
    fn append(&self, out: &mut Vec<u8>);
}

impl Append for str {
    fn append(&self, out: &mut Vec<u8>) {
        // Every byte is looked at, so that the compiler can take many at a time.
        let escaped = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
        if self.bytes().fold(false, |any, byte| any | escaped(byte)) {
            return by_serde(self, out);
        }
        out.push(b'"');
        out.extend_from_slice(self.as_bytes());
        out.push(b'"');
    }
}

impl Append for String {
    fn append(&self, out: &mut Vec<u8>) {
        self.as_str().append(out);
    }
}

impl Append for Uuid {
    fn append(&self, out: &mut Vec<u8>) {
        let mut quoted = [b'"'; Hyphenated::LENGTH + 2];
        self.hyphenated().encode_lower(&mut quoted[1..]);
        out.extend_from_slice(&quoted);
    }
}

impl Append for OffsetDateTime {
    fn append(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(&timestamp::written(*self));
        out.push(b'"');
    }
}

impl Append for bool {
    fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Append for u64 {
    fn append(&self, out: &mut Vec<u8>) {
        by_serde(self, out);
    }
}

impl Append for f64 {
    fn append(&self, out: &mut Vec<u8>) {
        by_serde(self, out);
    }
}

impl<T: Append> Append for Option<T> {
    fn append(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.append(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl<T: Append> Append for Vec<T> {
    fn append(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.append(out);
        }
        out.push(b']');
    }
}

/// For text and numbers, which serde writes to memory without a way to fail.
fn by_serde<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*, strategy::Union};
    use time::UtcOffset;

    use super::*;
    use crate::{
        Complexity, EventBuilder, Harness, Outcome, Provider, QualityGate, RepoSizeCategory,
        SchemaVersion, TaskType,
    };

    /// Text of every kind: none, plain, what is escaped, and what is not though it might be.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            "[ -~]{1,40}",
            "[\"\\\\/\u{0}-\u{1f}\u{7f}a-f]{1,40}",
            "[é-ÿ\u{80}\u{2028}\u{2029}\u{feff}漢\u{1f600}\"]{1,20}",
            vec(any::<char>(), 0..300).prop_map(String::from_iter),
        ]
    }

    /// A word, listed or not.
    fn word<T: Clone + std::fmt::Debug + From<String> + 'static>(
        listed: &[T],
    ) -> impl Strategy<Value = T> + use<T> {
        let listed = Union::new(listed.iter().cloned().map(Just));
        prop_oneof![listed, text().prop_map(T::from)]
    }

    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0..1000u64, Just(u64::MAX), (0..64u32).prop_map(|bits| 1 << bits)]
    }

    fn share() -> impl Strategy<Value = f64> {
        prop_oneof![Just(0.0), 0.0..1.0, proptest::num::f64::ANY]
    }

    fn moment() -> impl Strategy<Value = OffsetDateTime> {
        let (first, last) = (time::Date::MIN.midnight(), time::Date::MAX.midnight());
        let seconds = first.assume_utc().unix_timestamp()..=last.assume_utc().unix_timestamp();
        let seconds = prop_oneof![seconds, 1_700_000_000..1_800_000_000i64];
        (seconds, 0..1_000_000_000i64, -86_399..86_400i32).prop_map(|(seconds, nanos, offset)| {
            let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let at = at + time::Duration::nanoseconds(nanos);
            at.checked_to_offset(UtcOffset::from_whole_seconds(offset).unwrap()).unwrap_or(at)
        })
    }

    prop_compose! {
        fn event()(
            ids in any::<[u128; 2]>(),
            timestamp in moment(),
            counts in proptest::array::uniform10(count()),
            (version, task_type, complexity, harness, provider, outcome, repo_size) in (
                word(SchemaVersion::LISTED),
                word(TaskType::LISTED),
                word(Complexity::LISTED),
                word(Harness::LISTED),
                word(Provider::LISTED),
                word(Outcome::LISTED),
                option::of(word(RepoSizeCategory::LISTED)),
            ),
            (model, language) in (text(), option::of(text())),
            passed: bool,
            gates in proptest::array::uniform2(prop_oneof![
                vec(word(QualityGate::LISTED), 0..4),
                vec(word(QualityGate::LISTED), 0..100),
            ]),
            utilization in share(),
        ) -> TaskCompletionEvent {
            let [gates_run, gates_failed] = gates;
            TaskCompletionEvent {
                instance_id: Uuid::from_u128(ids[0]),
                event_id: Uuid::from_u128(ids[1]),
                schema_version: version,
                timestamp,
                task_duration_ms: counts[0],
                task_type,
                complexity,
                harness,
                model,
                provider,
                estimated_input_tokens: counts[1],
                estimated_output_tokens: counts[2],
                actual_input_tokens: counts[3],
                actual_output_tokens: counts[4],
                estimated_cost_usd_micros: counts[5],
                actual_cost_usd_micros: counts[6],
                quality_gate_passed: passed,
                quality_gates_run: gates_run,
                quality_gates_failed: gates_failed,
                context_compactions: counts[7],
                context_rotations: counts[8],
                context_utilization_final: utilization,
                outcome,
                retry_count: counts[9],
                language,
                repo_size_category: repo_size,
            }
        }
    }

    fn written(event: &TaskCompletionEvent) -> String {
        let mut out = b"before".to_vec();
        event.write_json(&mut out);
        String::from_utf8(out.split_off(b"before".len())).unwrap()
    }

    proptest! {
        #[test]
        fn the_bytes_are_serdes(event in event()) {
            prop_assert_eq!(written(&event), serde_json::to_string(&event).unwrap());
        }
    }

    #[test]
    fn every_character_is_written_as_serde_does() {
        let mut event = EventBuilder::new(Uuid::nil()).build();
        for character in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{d7ff}', '\u{10ffff}']) {
            event.model =
                format!("{character}a long text with {character} in its midst{character}");
            event.language = Some(character.into());
            assert_eq!(written(&event), serde_json::to_string(&event).unwrap());
        }
    }

    #[test]
    fn real_runs_are_written_as_they_were() {
        for line in include_str!("../examples/data/events.jsonl").lines() {
            let event = TaskCompletionEvent::from_json(line.as_bytes()).unwrap();
            assert_eq!(written(&event), line);
        }
    }
}

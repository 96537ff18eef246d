//! Reproducible mutations of inputs, without a fuzzer.

use serde_json::Value;

use crate::random::Random;

/// Text that is inserted: escapes, beginnings without an end.
const SHORT: [&str; 27] = [
    "\"", "\\", "\\u0000", "\\ud800", "{", "}", "[", "]", "[[[[", "{\"a\":", ",", ":", "\n\n",
    "\n~~~\n", "\r\n", "\0", "\u{7f}", "\u{9b}", "é", "null", "true", "-", "{key}", "{KEY}", "@",
    "GMT", "2.0",
];

/// Text and numbers that are inserted.
const LONG: &[&str] = &[
    "\u{202e}\u{1f600}",
    "http://",
    "Retry-After: ",
    "-0.0",
    "1e400",
    "1e-400",
    "9223372036854775808",
    "18446744073709551616",
];

/// Arrays around a value.
const DEEP: usize = 200;

/// Makes new inputs of given ones.
#[derive(Debug)]
pub struct Mutator {
    inputs: Vec<Vec<u8>>,
    random: Random,
}

impl Mutator {
    /// Starts with `inputs`; the same seed gives the same mutations.
    ///
    /// # Panics
    ///
    /// There are no inputs.
    #[must_use]
    pub fn new(inputs: Vec<Vec<u8>>, seed: u64) -> Self {
        assert!(!inputs.is_empty(), "no inputs");
        Self { inputs, random: Random(seed) }
    }

    /// The next input: one of the given ones, with a few mutations.
    #[must_use]
    pub fn mutated(&mut self) -> Vec<u8> {
        let mut input = self.random.item(&self.inputs).clone();
        for _ in 0..=self.random.below(4) {
            if self.random.below(2) == 0 || self.mutate_json(&mut input).is_none() {
                self.mutate_bytes(&mut input);
            }
        }
        input
    }

    fn token(&mut self) -> &'static str {
        let tokens = if self.random.below(5) == 0 { LONG } else { &SHORT };
        self.random.item::<&str>(tokens)
    }

    fn mutate_bytes(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        let end = (at + self.random.below(16)).min(input.len());
        match self.random.below(6) {
            0 if at < input.len() => input[at] ^= 1 << self.random.below(8),
            1 => drop(input.drain(at..end)),
            2 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let other = self.random.item(&self.inputs);
                let from = self.random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => drop(input.splice(at..at, self.token().bytes())),
        }
    }

    /// Mutates a value of the JSON at the end of the input; `None` if there is none.
    fn mutate_json(&mut self, input: &mut Vec<u8>) -> Option<()> {
        let start = input.iter().position(|byte| matches!(byte, b'{' | b'['))?;
        let mut document = serde_json::from_slice::<Value>(&input[start..]).ok()?;
        let mut found = Vec::new();
        places(&document, "", &mut found);
        let place: &String = self.random.item(&found);
        let value = document.pointer_mut(place)?;
        self.mutate_value(value);
        input.truncate(start);
        input.extend_from_slice(document.to_string().as_bytes());
        Some(())
    }

    fn mutate_value(&mut self, value: &mut Value) {
        match (value, self.random.below(8)) {
            (Value::Object(members), index @ 0..4) => {
                let keys: Vec<String> = members.keys().cloned().collect();
                let removed = keys.get(self.random.below(keys.len() + 1));
                let removed = removed.and_then(|key| members.remove(key));
                if index < 2 {
                    members.insert(self.token().to_owned(), removed.unwrap_or_default());
                }
            }
            (Value::Array(items), index @ 0..4) if !items.is_empty() => {
                let item = self.random.item(items).clone();
                items.extend(vec![item; [0, 1, 2, 120][index]]);
            }
            (Value::String(text), 0) => *text = text.repeat(40),
            (Value::String(text), 1..4) => text.push_str(self.token()),
            (value @ Value::Number(_), 0) => *value = self.random.next_u64().into(),
            (value @ Value::Number(_), 1) => *value = (1_u64 << self.random.below(64)).into(),
            (value @ Value::Number(_), 2) => {
                *value = f64::from_bits(self.random.next_u64()).into();
            }
            (value, _) => {
                *value = match self.random.below(7) {
                    0 => Value::Null,
                    1 => true.into(),
                    2 => 1.5.into(),
                    3 => self.token().into(),
                    4 => Value::Object(serde_json::Map::new()),
                    5 => vec![value.take()].into(),
                    _ => (0..DEEP).fold(Value::Null, |inner, _| vec![inner].into()),
                };
            }
        }
    }
}

/// JSON pointers to every value in a document, beginning with the document itself.
pub fn places(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                let step = key.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{pointer}/{step}"), found);
            }
        }
        _ => {}
    }
}

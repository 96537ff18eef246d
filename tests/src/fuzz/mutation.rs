//! Changes of inputs, for where there is no fuzzer: they follow from a seed.

use serde_json::Value;

/// What is put into an input: ends of ranges, escapes, beginnings without an end.
const TOKENS: [&str; 36] = [
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[",
    "{\"a\":",
    ",",
    ":",
    "\n\n",
    "\n~~~\n",
    "\r\n",
    "\0",
    "\u{7f}",
    "\u{9b}",
    "\u{202e}",
    "é",
    "\u{1f600}",
    "null",
    "true",
    "-",
    "-0.0",
    "1e400",
    "1e-400",
    "2.0",
    "9223372036854775808",
    "18446744073709551616",
    "{key}",
    "{KEY}",
    "http://",
    "@",
    "Retry-After: ",
    "GMT",
];

/// How deep a value is put into arrays.
const DEEP: usize = 200;

/// Makes new inputs of given ones.
#[derive(Debug)]
pub struct Mutator {
    inputs: Vec<Vec<u8>>,
    random: Random,
}

impl Mutator {
    /// Starts with these; the same seed gives the same changes.
    ///
    /// # Panics
    ///
    /// There are none.
    #[must_use]
    pub fn new(inputs: Vec<Vec<u8>>, seed: u64) -> Self {
        assert!(!inputs.is_empty(), "there is nothing to change");
        Self { inputs, random: Random(seed) }
    }

    /// The next input: one of the given ones, with a few changes.
    #[must_use]
    pub fn changed(&mut self) -> Vec<u8> {
        let mut input = self.random.item(&self.inputs).clone();
        for _ in 0..=self.random.below(4) {
            if self.random.below(2) == 0 {
                self.change_bytes(&mut input);
            } else {
                self.change_json(&mut input);
            }
        }
        input
    }

    fn change_bytes(&mut self, input: &mut Vec<u8>) {
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
            _ => {
                let token = self.random.item(&TOKENS).bytes();
                input.splice(at..at, token);
            }
        }
    }

    /// Changes a value of the JSON that the input ends with, if it does.
    fn change_json(&mut self, input: &mut Vec<u8>) {
        let Some(start) = input.iter().position(|byte| matches!(byte, b'{' | b'[')) else {
            return self.change_bytes(input);
        };
        let Ok(mut document) = serde_json::from_slice::<Value>(&input[start..]) else {
            return self.change_bytes(input);
        };
        let mut found = Vec::new();
        places(&document, "", &mut found);
        let place = self.random.item(&found);
        if let Some(value) = document.pointer_mut(place) {
            self.change_value(value);
        }
        input.truncate(start);
        input.extend_from_slice(document.to_string().as_bytes());
    }

    fn change_value(&mut self, value: &mut Value) {
        let index = self.random.below(8);
        match value {
            Value::Object(members) if index < 4 => {
                let keys: Vec<String> = members.keys().cloned().collect();
                let taken = keys.get(self.random.below(keys.len() + 1)).cloned();
                let moved = taken.and_then(|key| members.remove(&key));
                if index < 2 {
                    let key = (*self.random.item(&TOKENS)).to_owned();
                    members.insert(key, moved.unwrap_or_default());
                }
            }
            Value::Array(items) if index < 4 && !items.is_empty() => {
                let item = self.random.item(items).clone();
                let count = [0, 1, 2, 120][index];
                items.extend(vec![item; count]);
            }
            Value::String(text) if index < 4 => {
                *text = match index {
                    0 => text.repeat(40),
                    1 => text.chars().rev().collect(),
                    _ => format!("{text}{}", self.random.item(&TOKENS)),
                };
            }
            Value::Number(_) if index < 4 => {
                let number = f64::from_bits(self.random.next());
                *value = match index {
                    0 => self.random.next().into(),
                    1 => (1_u64 << self.random.below(64)).into(),
                    2 => number.into(),
                    _ => (number % 3.0).into(),
                };
            }
            _ => *value = self.other(value),
        }
    }

    /// A value of another type.
    fn other(&mut self, value: &Value) -> Value {
        match self.random.below(7) {
            0 => Value::Null,
            1 => true.into(),
            2 => 1.5.into(),
            3 => (*self.random.item(&TOKENS)).into(),
            4 => Value::Object(serde_json::Map::new()),
            5 => vec![value.clone()].into(),
            _ => (0..DEEP).fold(Value::Null, |inner, _| vec![inner].into()),
        }
    }
}

/// Every place in a document, the document itself first.
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

/// Sebastiano Vigna's SplitMix64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One of the items, of which there is one.
    fn item<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

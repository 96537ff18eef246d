//! Documents of `tests/corpus` with their expected validity: one JSON object a line.
//!
//! A line has a `document`, or the JSON pointer (`at`) of its difference from that of the first line,
//! with the `value` there; without a value, the key is removed.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, value::RawValue};

use super::Body;

pub(super) struct Case {
    pub(super) name: String,
    pub(super) is_valid: bool,
    pub(super) json: String,
}

pub(super) fn cases(body: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let text = fs::read_to_string(folder.join(format!("{body}.jsonl"))).expect("a corpus");
    let lines: Vec<BTreeMap<&str, &RawValue>> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of the corpus"))
        .collect();
    let base = lines[0]["document"].get();
    let case = |line: &BTreeMap<&str, &RawValue>| Case {
        name: serde_json::from_str(line["name"].get()).expect("a name"),
        is_valid: line["valid"].get() == "true",
        json: match line.get("document") {
            Some(document) => document.get().to_owned(),
            None => changed(base, line["at"], line.get("value").copied()),
        },
    };
    lines.iter().map(case).collect()
}

/// `base` with another value in one place, written as in the corpus.
fn changed(base: &str, at: &RawValue, value: Option<&RawValue>) -> String {
    const PLACEHOLDER: &str = "the value of the corpus";
    let mut document: Value = serde_json::from_str(base).expect("JSON");
    let at: String = serde_json::from_str(at.get()).expect("a pointer");
    let (parent, key) = at.rsplit_once('/').expect("a pointer below the root");
    let key = key.replace("~1", "/").replace("~0", "~");
    match (document.pointer_mut(parent).expect("a place in the document"), value) {
        (Value::Object(parent), Some(_)) => {
            parent.insert(key, PLACEHOLDER.into());
        }
        (Value::Object(parent), None) => {
            parent.remove(&key).expect("a key to remove");
        }
        (Value::Array(items), Some(_)) => {
            items[key.parse::<usize>().expect("an index")] = PLACEHOLDER.into();
        }
        _ => panic!("{at} is no place to change"),
    }
    let value = value.map_or("", RawValue::get);
    document.to_string().replace(&format!("{PLACEHOLDER:?}"), value)
}

#[test]
fn corpus_has_the_expected_validity() {
    for body in Body::all() {
        let cases = cases(body.name);
        let wrong: Vec<String> = cases
            .iter()
            .filter_map(|Case { name, is_valid, json }| match body.validity(json) {
                Ok(validity) if validity == *is_valid => None,
                Ok(validity) => Some(format!("{name}: valid is {validity}")),
                Err(disagreement) => Some(format!("{name}: {disagreement}")),
            })
            .collect();
        assert!(wrong.is_empty(), "{}:\n{}", body.name, wrong.join("\n"));
        let valid = cases.iter().filter(|case| case.is_valid).count();
        assert!(valid >= 4 && cases.len() - valid >= 20, "{}: {valid} valid", body.name);
    }
}

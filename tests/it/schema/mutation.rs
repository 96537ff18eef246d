//! Random changes of valid documents: schema and validation agree.

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Map, Value, json};
use telemetry_model::TaskCompletionEvent;
use telemetry_tests::fuzz::places;

use super::{Body, corpus};

/// A change in one place of a document.
#[derive(Clone, Debug)]
enum Change {
    /// Another value of the same type.
    Vary {
        text: Value,
        number: Value,
    },
    Replace(Value),
    Remove,
    Repeat(usize),
}

fn changes() -> impl Strategy<Value = Vec<(Index, Change)>> {
    let change = prop_oneof![
        6 => (texts(), numbers()).prop_map(|(text, number)| Change::Vary { text, number }),
        2 => prop_oneof![texts(), numbers(), others()].prop_map(Change::Replace),
        1 => Just(Change::Remove),
        1 => (1..120usize).prop_map(Change::Repeat),
    ];
    vec((any::<Index>(), change), 0..4)
}

fn texts() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => (255..259usize).prop_map(|count| "\u{1f600}".repeat(count)),
        2 => Just("none".to_owned()),
        1 => ".{0,8}",
        1 => "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fg]{12}",
        1 => "20[0-9]{2}-(0[0-9]|1[0-3])-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?Z",
        1 => "[0-9]{2}(00|[0-9]{2})-02-29T00:00:00(Z|\\+00:00)",
    ]
    .prop_map(Value::from)
}

fn numbers() -> impl Strategy<Value = Value> {
    const MAX: u64 = TaskCompletionEvent::MAX_COUNT;
    prop_oneof![
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (MAX - 2..=MAX + 2).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-0.2..1.2f64).prop_map(Value::from),
        (-2..20i8).prop_map(|number| json!(f64::from(number))),
    ]
}

fn others() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        vec(".{0,2}", 0..3).prop_map(Value::from),
        Just(json!({})),
        Just(json!({ "median": 1 })),
    ]
}

fn apply(document: &mut Value, at: &Index, change: Change) {
    let mut found = Vec::new();
    places(document, "", &mut found);
    let pointer = at.get(&found);
    let Some(value) = document.pointer_mut(pointer) else { return };
    match (change, value) {
        (Change::Vary { text, .. }, value @ Value::String(_)) => *value = text,
        (Change::Vary { number, .. }, value @ Value::Number(_)) => *value = number,
        (Change::Replace(other), value) => *value = other,
        (Change::Repeat(count), Value::Array(items)) => {
            let Some(first) = items.first().cloned() else { return };
            // Few gates: JSON Schema cannot limit the size of an event.
            let count = if first.is_object() { count } else { count.min(20) };
            *items = vec![first; count];
        }
        (Change::Remove, _) => {
            let Some((parent, step)) = pointer.rsplit_once('/') else { return };
            let key = step.replace("~1", "/").replace("~0", "~");
            let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
            parent.map(|members: &mut Map<_, _>| members.remove(&key));
        }
        _ => {}
    }
}

#[test]
fn schema_and_validation_agree_on_random_documents() {
    let bodies = Body::all().map(|body| {
        let valid = corpus::cases(body.name).into_iter().filter(|case| case.is_valid);
        let documents: Vec<Value> =
            valid.map(|case| serde_json::from_str(&case.json).expect("JSON")).collect();
        (body, documents)
    });
    let which = (0..bodies.len(), any::<Index>(), changes());
    let config = ProptestConfig::with_cases(4_000);
    proptest!(config, |((body, document, changes) in which)| {
        let (body, documents) = &bodies[body];
        let mut document = document.get(documents).clone();
        for (at, change) in changes {
            apply(&mut document, &at, change);
        }
        if let Err(disagreement) = body.validity(&document.to_string()) {
            return Err(TestCaseError::fail(disagreement));
        }
    });
}

#[test]
fn schema_and_validation_agree_on_leap_years() {
    let [of_events, ..] = Body::all();
    let base: Value = serde_json::from_str(&corpus::cases("event")[0].json).unwrap();
    let is_valid = |year: &i32| {
        let mut event = base.clone();
        event["timestamp"] = json!(format!("{year:04}-02-29T00:00:00Z"));
        of_events.validity(&event.to_string()).unwrap()
    };
    let years = (0..=400).chain([1900, 2000, 2100, 9996, 9999]);
    let leap: Vec<i32> = years.filter(is_valid).collect();
    // Of 0 to 400, 4 divides 101 years; 100, 200 and 300 are not leap years.
    assert_eq!(leap.len(), 98 + 2);
    assert!(leap.iter().all(|year| year % 4 == 0));
}

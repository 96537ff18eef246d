//! Damaged logs of all harnesses.

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use super::{
    growth::{LOGS, files, fixture},
    *,
};

/// Damage of a line.
#[derive(Clone, Debug)]
enum Damage {
    Drop,
    Repeat,
    /// Exchange with another line.
    Swap(Index),
    /// The rest of the line is missing, or its break too.
    Cut(Index, bool),
    /// Bytes before and behind the line.
    Wrap(&'static [u8], &'static [u8]),
    /// Another value in the place of one.
    Value(Index, Value),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || {
        prop::sample::select(vec![
            &b""[..],
            b"\0\0\0",
            b"\xEF\xBB\xBF",
            b"\r",
            b"\xFF",
            b"\xE2\x80\xA8",
            b"{",
        ])
    };
    let value = prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!("7"),
        json!(-7),
        json!(7.5),
        json!(1e300),
        json!(u64::MAX),
        json!([{}]),
        json!({}),
        json!(""),
    ]);
    prop_oneof![
        Just(Damage::Drop),
        Just(Damage::Repeat),
        any::<Index>().prop_map(Damage::Swap),
        (any::<Index>(), any::<bool>()).prop_map(|(at, joins)| Damage::Cut(at, joins)),
        (bytes(), bytes()).prop_map(|(before, behind)| Damage::Wrap(before, behind)),
        (any::<Index>(), value).prop_map(|(at, value)| Damage::Value(at, value)),
    ]
}

impl Damage {
    fn apply(&self, lines: &mut Vec<Vec<u8>>, at: usize) {
        match self {
            Self::Drop => drop(lines.remove(at)),
            Self::Repeat => lines.insert(at, lines[at].clone()),
            Self::Swap(other) => {
                let other = other.index(lines.len());
                lines.swap(at, other);
            }
            Self::Cut(rest, joins) => {
                let rest = rest.index(lines[at].len() + 1);
                lines[at].truncate(rest);
                if !joins {
                    lines[at].push(b'\n');
                }
            }
            Self::Wrap(before, behind) => {
                let line = lines[at].strip_suffix(b"\n").unwrap_or(&lines[at]);
                lines[at] = [before, line, behind, b"\n"].concat();
            }
            Self::Value(place, value) => {
                let Ok(mut line) = serde_json::from_slice::<Value>(&lines[at]) else { return };
                let mut places = Vec::new();
                collect(&line, String::new(), &mut places);
                *line.pointer_mut(&places[place.index(places.len())]).unwrap() = value.clone();
                lines[at] = line.to_string().into_bytes();
                lines[at].push(b'\n');
            }
        }
    }
}

/// The pointers of a value and of all in it.
fn collect(value: &Value, pointer: String, places: &mut Vec<String>) {
    let below = |key: &str| format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, it)| collect(it, below(key), places))
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, it)| collect(it, below(&at.to_string()), places));
        }
        _ => {}
    }
    places.push(pointer);
}

/// Sum of all tokens.
fn total(scan: &Scan) -> u64 {
    scan.tasks.iter().fold(0, |sum, it| it.usage.total().saturating_add(sum))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_log_that_grows_gives_what_a_scan_of_all_gives(
        log in 0..LOGS.len(),
        damages in prop::collection::vec((damage(), any::<Index>()), 1..6),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let name = LOGS[log];
        let home = Home::new();
        home.write(name, fixture(name));
        let undamaged = home.scan_all(&mut State::default());
        let mut lines: Vec<_> = fixture(name).split_inclusive(|it| *it == b'\n').map(<[u8]>::to_vec).collect();
        for (damage, at) in &damages {
            if !lines.is_empty() {
                let at = at.index(lines.len());
                damage.apply(&mut lines, at);
            }
        }
        let text = lines.concat();
        let mut state = State::default();
        let mut cuts: Vec<usize> = cuts.iter().map(|it| it.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        for cut in cuts {
            home.write(name, &text[..cut]);
            home.scan_all(&mut state);
        }
        home.write(name, &text);
        let whole = home.check(&mut state, name);
        prop_assert!(whole.unreadable.is_empty());
        prop_assert_eq!(&home.scan_all(&mut state).tasks, &whole.tasks);
        // aider has no ids: what is written twice was sent twice.
        let may_grow = |it: &Damage| match it {
            Damage::Value(..) | Damage::Swap(_) => true,
            Damage::Repeat => log == 0,
            _ => false,
        };
        if !damages.iter().any(|(it, _)| may_grow(it)) {
            prop_assert!(total(&whole) <= total(&undamaged));
        }
    }
    #[test]
    fn damaged_document_fails_no_scan(
        at in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let mut documents = files(".local");
        documents.extend(files(".gemini").into_iter().filter(|it| it.ends_with(".json")));
        let home = Home::new();
        for name in &documents {
            home.write(name, fixture(name));
        }
        let undamaged = home.scan_all(&mut State::default());
        let name = &documents[at.index(documents.len())];
        let mut parts = vec![fixture(name)];
        for damage in &damages {
            if !parts.is_empty() {
                damage.apply(&mut parts, 0);
            }
        }
        home.write(name, parts.concat());
        let scan = home.scan_all(&mut State::default());
        prop_assert!(scan.unreadable.is_empty());
        if !damages.iter().any(|it| matches!(it, Damage::Value(..))) {
            prop_assert!(total(&scan) <= total(&undamaged));
        }
    }
}

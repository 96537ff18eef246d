//! Search for the API key in every form in which it could appear.

use std::{collections::BTreeSet, error::Error, fmt::Debug, iter};

use telemetry_tests::KEY;

/// Characters in a row that do not match by chance.
const PIECE: usize = 8;

/// Base64, in one line.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |three: &[u8]| {
        let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let number = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |place| char::from(DIGITS[(number >> (18 - 6 * place) & 63) as usize]);
        let shown = three.len() + 1;
        [0, 1, 2, 3].map(|place| if place < shown { digit(place) } else { '=' })
    };
    bytes.chunks(3).flat_map(digits).collect()
}

/// The key as it is, as hexadecimal and decimal bytes, as base64 at each of three offsets, and reversed.
fn forms() -> Vec<String> {
    let key = KEY.to_lowercase();
    let bytes: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    let decimal: String = key.bytes().map(|byte| format!("{byte},")).collect();
    let shifted = (0..3).map(|shift| {
        let text = base64(&[&vec![b' '; shift][..], key.as_bytes()].concat()).to_lowercase();
        // Without the digits that depend on the bytes before and after.
        text[4..text.len() - 4].to_owned()
    });
    let backwards = key.chars().rev().collect();
    shifted.chain([key.clone(), bytes, decimal, backwards]).collect()
}

/// The pieces of all forms.
pub(crate) struct Search(BTreeSet<String>);

impl Search {
    pub(crate) fn new() -> Self {
        let pieces = forms().into_iter().flat_map(|form| {
            let size = if form.contains(',') { 3 * PIECE } else { PIECE };
            let starts = 0..=form.len() - size;
            starts.map(move |start| form[start..start + size].to_owned())
        });
        Self(pieces.collect())
    }

    /// The piece of the key that the text contains, with or without white space in it.
    pub(crate) fn find(&self, text: &str) -> Option<String> {
        let text: String = text.split_whitespace().collect();
        let text = text.to_ascii_lowercase();
        self.0.iter().find(|piece| text.contains(*piece)).cloned()
    }

    /// Fails if the text contains a piece of the key.
    #[track_caller]
    pub(crate) fn must_not_find(&self, place: &str, text: &str) {
        let found = self.find(text);
        assert_eq!(found, None, "{place} shows the key: {text}");
    }
}

/// All printed forms of an error and its sources.
pub(crate) fn everything(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    causes.map(|error| format!("{error}\n{error:?}\n{error:#?}\n")).collect()
}

pub(crate) fn debugged(value: &impl Debug) -> String {
    format!("{value:?}\n{value:#?}\n")
}

#[test]
fn search_finds_the_key_in_every_form() {
    let dump: String = KEY.bytes().map(|byte| format!("{byte:02x} ")).collect();
    for text in [
        format!("Bearer {KEY}"),
        KEY.to_uppercase(),
        format!("…{}…", &KEY[17..25]),
        format!("{}\n  {}", &KEY[..4], &KEY[4..8]),
        dump,
        format!("{:?}", KEY.as_bytes()),
        base64(KEY.as_bytes()),
        base64(format!("Bearer {KEY}").as_bytes()),
        base64(format!("u:{KEY}").as_bytes()),
        KEY.chars().rev().collect(),
    ] {
        assert!(Search::new().find(&text).is_some(), "{text}");
    }
    let innocent = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d ApiKey(redacted) Sensitive ********";
    assert_eq!(Search::new().find(innocent), None);
    assert_eq!(base64(b"us er:p@ss"), "dXMgZXI6cEBzcw==");
    assert_eq!(base64(b"any+"), "YW55Kw==");
}

//! Fuzz targets for everything that a server, a file or the environment can send.
//!
//! A target is a function of any bytes that panics where a property does not hold. libFuzzer calls it
//! in `tests/fuzz`, and `tests/it/fuzz.rs` with the inputs in `tests/fuzz/corpus` and mutations of them.

mod answer;
mod answers;
mod delivery;
mod documents;
mod environment;
mod errors;
mod mutation;
mod predictions;
mod redaction;
mod retry_after;

use std::{fs, io, path::PathBuf, time::Duration};

pub use self::mutation::{Mutator, places};
use crate::{KEY, allocated};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Panics if a property does not hold for the input.
    pub check: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 9] = [
    Target { name: "answers", check: answers::check },
    Target { name: "batch", check: documents::batch },
    Target { name: "delivery", check: delivery::check },
    Target { name: "environment", check: environment::check },
    Target { name: "event", check: documents::event },
    Target { name: "predictions-request", check: predictions::request },
    Target { name: "predictions-response", check: predictions::response },
    Target { name: "redaction", check: redaction::check },
    Target { name: "retry-after", check: retry_after::check },
];

impl Target {
    /// The target of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Its inputs in the repository, by file name.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn corpus(self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let entries = fs::read_dir(folder().join(self.name))?;
        let read = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?))
        };
        entries.map(read).collect()
    }
}

/// The corpus: a folder for each target.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The longest time that a `Retry-After` holds.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Returns the result of `read`, which parses `length` bytes in at most `parts` parts.
///
/// # Panics
///
/// It allocates out of proportion. The most expensive byte is an item in a long list of invalid ones:
/// each has its message. A part may lack all of its keys.
fn in_proportion<T>(length: usize, parts: usize, read: impl FnOnce() -> T) -> T {
    const IN_ALL: u64 = 256;
    const AT_ONCE: u64 = 64;
    const BASE: u64 = 64 * 1024;
    const PART: u64 = 16 * 1024;

    let (result, in_all, at_once) = allocated(read);
    let (length, base) = (length as u64, BASE + PART * parts as u64);
    assert!(in_all <= IN_ALL * length + base, "{in_all} bytes allocated for {length}");
    assert!(at_once <= AT_ONCE * length + base, "{at_once} bytes held for {length}");
    result
}

/// The input as text, with the API key in place of `{key}`, and in capitals of `{KEY}`.
fn with_key(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    text.replace("{key}", KEY).replace("{KEY}", &KEY.to_ascii_uppercase())
}

/// Panics if `text` could contain a useful part of the key.
fn assert_no_key(text: &str) {
    assert!(longest_run(text) < 32, "it may contain the key: {text}");
}

/// The length of the longest run of hexadecimal digits.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|c: char| !c.is_ascii_hexdigit());
    runs.map(str::len).max().unwrap_or_default()
}

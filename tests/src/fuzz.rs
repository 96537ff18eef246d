//! Whatever a server, a file or the environment can send: targets for a fuzzer.
//!
//! A target is a function of any bytes that panics where a property does not hold. The fuzzer of
//! `tests/fuzz` calls it, and so does `tests/it/fuzz.rs`, with the inputs in `tests/fuzz/corpus` and
//! changes of them.

mod answer;
mod answers;
mod delivery;
mod documents;
mod effort;
mod environment;
mod faults;
mod mask;
mod mutation;
mod predictions;
mod retry_after;
mod secret;

use std::{fs, io, path::PathBuf, time::Instant};

pub use self::mutation::{Mutator, places};

/// Something that reads what others have written.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name, which its folder in the corpus has too.
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
    Target { name: "mask", check: mask::check },
    Target { name: "predictions-request", check: predictions::request },
    Target { name: "predictions-response", check: predictions::response },
    Target { name: "retry-after", check: retry_after::check },
];

impl Target {
    /// The target of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Its inputs in the repository, by their names.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn corpus(self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut inputs = Vec::new();
        for entry in fs::read_dir(folder().join(self.name))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            inputs.push((name, fs::read(entry.path())?));
        }
        inputs.sort();
        Ok(inputs)
    }
}

/// Where each target's inputs are, in a folder of its name.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock")]
fn now() -> Instant {
    Instant::now()
}

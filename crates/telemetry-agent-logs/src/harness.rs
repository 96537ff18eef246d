//! Coding agents whose logs can be read.

mod claude_code;
#[cfg(test)]
pub(crate) mod testing;
pub mod aider;
pub mod gemini_cli;
mod lenient;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Turn;

/// All harnesses.
pub static HARNESSES: &[&dyn Harness] = &[&aider::Aider, &gemini_cli::GeminiCli];

/// A coding agent whose logs can be read.
pub trait Harness: Debug + Sync {
    /// The harness as in events.
    fn harness(&self) -> telemetry_model::Harness;

    /// The provider of the models of a log that does not say.
    fn provider(&self) -> telemetry_model::Provider;

    /// The folders that the agent writes its logs to, or files that are logs; some may not exist.
    fn roots(&self, environment: &Environment) -> Vec<PathBuf>;

    /// True if the file below a root is a log. `path` is relative to the root; it is empty if the root is a file.
    fn is_log(&self, path: &Path) -> bool;

    /// Reads a log from a checkpoint on: the default at first, later the one that the last call returned.
    ///
    /// Closed turns are found once. The last turn of a file is found each time, since more may follow: the returned
    /// checkpoint is before it. A scan after each appended byte finds the same as one of the whole file.
    ///
    /// # Errors
    ///
    /// The file cannot be read. Lines that cannot be understood are counted in [`Found::bad_lines`].
    fn read(&self, path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint>;
}

/// The variables of the environment and the home folder.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Variables by name.
    pub variables: BTreeMap<String, String>,
    /// Home folder of the user.
    pub home: PathBuf,
}

/// A place in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Offset of the first line of a turn.
    pub offset: u64,
    /// What the reader has to know of what is before, as JSON.
    pub before: String,
}

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Turns in the order of the file. All but the last are closed, and the last is closed unless its end is
    /// [`End::Open`](crate::End::Open).
    pub turns: Vec<Turn>,
    /// Number of lines that are no JSON, or that are longer than the limit.
    pub bad_lines: u64,
}

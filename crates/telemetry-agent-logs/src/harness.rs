//! Coding agents whose logs can be read.

mod aider;
mod claude_code;
mod codex;
mod gemini_cli;
mod lenient;
mod opencode;
#[cfg(test)]
pub(crate) mod testing;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Turn;

/// All harnesses.
pub static HARNESSES: &[&dyn Harness] = &[
    &aider::Aider,
    &claude_code::ClaudeCode,
    &codex::Codex,
    &gemini_cli::GeminiCli,
    &opencode::Opencode,
];

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

    /// False if no log is in this folder or below it, so that it need not be searched. `path` is relative to the root.
    fn may_hold_logs(&self, _path: &Path) -> bool {
        true
    }

    /// The files and folders of a log, which may not exist. A log has not changed while the size and the time of
    /// modification of none of them have.
    fn watched(&self, path: &Path) -> Vec<PathBuf> {
        vec![path.to_owned()]
    }

    /// Reads a log from a checkpoint on: the default at first, later the one that the last call returned.
    ///
    /// Closed turns are found once. The last turn of a file is found each time, since more may follow: the returned
    /// checkpoint is before it. A scan after each appended byte finds the same as one of the whole file.
    ///
    /// A log may be a folder of files or a database, with several sessions. Then [`Checkpoint::offset`] is 0, `before`
    /// has the last closed turn of each session, and the turns that are [open](crate::End::is_open) are found each time.
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
    /// State of the reader at the offset, as JSON.
    pub before: String,
}

/// Turns of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Turns in the order of the file, or of each session. All are closed except those whose end
    /// [is open](crate::End::is_open), of which each session has at most one, its last.
    pub turns: Vec<Turn>,
    /// Number of lines that are no JSON, or that are longer than the limit.
    pub bad_lines: u64,
}

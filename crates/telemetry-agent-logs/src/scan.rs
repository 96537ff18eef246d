//! Scans of all logs.

mod files;
mod merge;
mod read;
mod state;
#[cfg(test)]
mod tests;

use std::{fmt, io, path::PathBuf, sync::Arc};

pub use self::state::State;
use crate::{Environment, Harness, PriceOf, Task};

/// Time without records, in milliseconds, after which a turn counts as ended.
pub const SILENCE_MS: i64 = 60 * 60 * 1_000;

/// Settings of a scan.
pub struct Options<'a> {
    /// The harnesses whose logs are read.
    pub harnesses: &'a [&'a dyn Harness],
    /// The environment with the logs.
    pub environment: &'a Environment,
    /// The prices of requests.
    pub price: &'a PriceOf<'a>,
    /// Unix milliseconds. Decides which turns have ended by silence.
    pub now: i64,
    /// Number of threads that read; at least 1.
    pub threads: usize,
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Result of a scan.
#[derive(Debug, Default)]
pub struct Scan {
    /// Tasks that have ended, by the time of their prompts.
    pub tasks: Vec<Arc<Task>>,
    /// Tasks that have not ended yet.
    pub open: Vec<Arc<Task>>,
    /// Number of turns without a request that no other log has: they are no tasks.
    pub without_usage: u64,
    /// Number of lines that could not be understood, in what this scan has read.
    pub bad_lines: u64,
    /// Number of logs.
    pub logs: u64,
    /// Files and folders that could not be read. Tasks of theirs may be missing.
    pub unreadable: Vec<Unreadable>,
}

/// A file or folder that could not be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Its path.
    pub path: PathBuf,
    /// The reason.
    pub error: io::Error,
}

/// Finds the tasks in all logs. `state` is that of the last scan, or the default: what it knows is not read again.
///
/// A log that has been removed or rewritten keeps no tasks; one that cannot be read keeps those that were found before.
/// Reads nothing but logs and the number of files in the index of the repositories that they name, and writes nothing.
pub fn scan(options: &Options<'_>, state: &mut State) -> Scan {
    let mut scan = Scan::default();
    let logs = files::find(options, &mut scan.unreadable);
    scan.logs = logs.len() as u64;
    state.keep(&logs);
    state.forget_stops(options.now);
    scan.bad_lines = read::read(options, &logs, state, &mut scan.unreadable);
    merge::merge(options, state, &mut scan);
    scan
}

//! Claude Code: `projects/<folder>/<session>.jsonl` and the logs of sub-agents.

mod open_turn;
mod prompt;
mod reader;
mod record;
mod requests;
#[cfg(test)]
mod tests;
mod tools;

use std::{
    io,
    path::{Path, PathBuf},
};

use self::{reader::Reader, record::Record};
use crate::{
    Checkpoint, Environment, Found, Harness,
    lines::{Lines, Position, records},
};

/// The reader of Claude Code's logs.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClaudeCode;

/// The folders of sub-agents' logs are named so.
const SUBAGENTS: &str = "subagents";

/// Logs of sub-agents are named so, in older versions beside the logs of sessions.
const AGENT: &str = "agent-";

/// Logs of the requests that compact a context are named so.
const COMPACTION: &str = "agent-acompact-";

impl Harness for ClaudeCode {
    fn harness(&self) -> telemetry_model::Harness {
        telemetry_model::Harness::ClaudeCode
    }

    fn provider(&self) -> telemetry_model::Provider {
        telemetry_model::Provider::Anthropic
    }

    /// The folders in `CLAUDE_CONFIG_DIR`, which is a list with commas, or the usual ones.
    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        let listed = environment.variables.get("CLAUDE_CONFIG_DIR").map_or("", String::as_str);
        let mut folders: Vec<_> =
            listed.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
        if folders.is_empty() {
            folders = vec![".claude", ".config/claude"];
        }
        let below_home = |it: &str| environment.home.join(it.strip_prefix("~/").unwrap_or(it));
        folders.into_iter().map(|it| below_home(it).join("projects")).collect()
    }

    fn is_log(&self, path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn read(&self, path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
        let mut lines = Lines::open(path, from.offset)?;
        let start = Position { offset: from.offset, index: from.before.parse().unwrap_or(0) };
        let mut reader = Reader::new(Place::of(path), found);
        while let Some((offset, line)) = lines.next()? {
            let is_understood = if Record::may_matter(line) {
                let line = record::without_half_pairs(line);
                records((offset, &line), start, |at, record| reader.record(at, record))
            } else {
                line.starts_with(b"{") && line.ends_with(b"}")
            };
            reader.found.bad_lines += u64::from(!is_understood);
        }
        let last = reader.finish();
        found.bad_lines += lines.too_long;
        Ok(last.map_or_else(|| from.clone(), checkpoint))
    }
}

fn checkpoint(turn: Position) -> Checkpoint {
    let before = if turn.index == 0 { String::new() } else { turn.index.to_string() };
    Checkpoint { offset: turn.offset, before }
}

/// Facts in the path of a log.
#[derive(Debug)]
struct Place {
    /// The session, or that of the sub-agent's parent; empty if only the log says it.
    session: String,
    /// True for logs of sub-agents and compactions.
    is_part: bool,
    /// The folder with logs of sub-agents of this session.
    subagents: PathBuf,
}

impl Place {
    fn of(path: &Path) -> Self {
        let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
        let parent = names
            .iter()
            .rposition(|name| name == SUBAGENTS)
            .and_then(|at| names.get(at.checked_sub(1)?));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_part = parent.is_some() || stem.starts_with(AGENT);
        let session = match parent {
            Some(parent) => parent.to_string(),
            None if is_part => String::new(),
            None => stem.into_owned(),
        };
        Self { session, is_part, subagents: path.with_extension("").join(SUBAGENTS) }
    }

    /// True if there is a log of a request that compacted the context.
    fn has_compaction(&self) -> bool {
        let entries = self.subagents.read_dir().into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(COMPACTION))
    }
}

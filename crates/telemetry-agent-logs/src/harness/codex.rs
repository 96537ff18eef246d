//! Codex CLI: rollouts of sessions.
//!
//! Since 0.151 the log has the usage of each response; a turn that has none of those is counted by the running totals.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{Checkpoint, Environment, Found, Harness};

mod commands;
mod current;
mod reader;
mod record;
mod requests;
mod skip;
mod state;
#[cfg(test)]
mod tests;
mod usage;
#[cfg(feature = "zstd")]
mod zstd;

/// Size of the buffer for reading, in bytes.
#[cfg(feature = "zstd")]
const BUFFER: usize = 128 << 10;

/// Ending of the name of a compressed log, which Codex makes of those that are a week old.
const COMPRESSED: &str = ".zst";

/// OpenAI's Codex CLI.
#[derive(Debug)]
pub(crate) struct Codex;

impl Harness for Codex {
    fn harness(&self) -> telemetry_model::Harness {
        telemetry_model::Harness::CODEX.into()
    }

    fn provider(&self) -> telemetry_model::Provider {
        telemetry_model::Provider::Openai
    }

    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        let home = environment.variables.get("CODEX_HOME").filter(|home| !home.is_empty());
        let home = home.map_or_else(|| environment.home.join(".codex"), PathBuf::from);
        vec![home.join("sessions"), home.join("archived_sessions")]
    }

    fn is_log(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let plain = if cfg!(feature = "zstd") { plain_name(name) } else { None };
        plain.unwrap_or(name).ends_with(".jsonl")
    }

    fn watched(&self, path: &Path) -> Vec<PathBuf> {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let plain = name.as_deref().and_then(plain_name).map(|plain| path.with_file_name(plain));
        [path.to_owned()].into_iter().chain(plain).collect()
    }

    /// A compressed log beside a plain one of the same name is a copy: nothing is found in it. In a compressed log,
    /// offsets are those of the text.
    fn read(&self, path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let session_name = session_of(&name);
        if let Some(plain) = plain_name(&name) {
            if path.with_file_name(plain).exists() {
                return Ok(from.clone());
            }
            let mut input = decompressed(File::open(path)?)?;
            let mut start = input.by_ref().take(from.offset);
            let session = reader::identify(&mut start, session_name)?;
            io::copy(&mut start, &mut io::sink())?;
            return reader::read(input, from, session, session_name, found);
        }
        let mut input = File::open(path)?;
        let session = reader::identify(input.by_ref().take(from.offset), session_name)?;
        input.seek(SeekFrom::Start(from.offset))?;
        reader::read(input, from, session, session_name, found)
    }
}

/// The name of the log that was compressed.
fn plain_name(name: &str) -> Option<&str> {
    name.strip_suffix(COMPRESSED)
}

/// The id of the session in the name of its log, `rollout-2026-11-26T17-58-01-<id>.jsonl`, or the name.
fn session_of(name: &str) -> &str {
    let stem = plain_name(name).unwrap_or(name);
    let stem = stem.strip_suffix(".jsonl").unwrap_or(stem);
    let start = stem.len().saturating_sub(36);
    stem.get(start..).filter(|id| state::made_at(id).is_some()).unwrap_or(stem)
}

/// The text of a compressed log.
#[cfg(feature = "zstd")]
fn decompressed(file: File) -> io::Result<impl Read> {
    Ok(zstd::Frames::new(io::BufReader::with_capacity(BUFFER, file)))
}

#[cfg(not(feature = "zstd"))]
fn decompressed(_: File) -> io::Result<impl Read> {
    Err::<io::Empty, _>(io::ErrorKind::Unsupported.into())
}

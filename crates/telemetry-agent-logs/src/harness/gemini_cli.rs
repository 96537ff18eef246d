//! Gemini CLI: `tmp/<project>/chats/session-*.jsonl`, and `.json` of older versions.
//!
//! A file of lines is a list of changes: a message is written again when its tokens or the results of its tools are
//! known, `$set` changes the head, `$rewindTo` takes messages back, whose tokens stay spent. Sub-agents have files of
//! their own in `chats/<session>/`. Retries are not logged, nor are the tokens of compressions.

mod record;
mod turns;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde_json::value::RawValue;
use telemetry_model::Provider;

use self::{record::Record, turns::Turns};
use super::{Checkpoint, Environment, Found, Harness, lenient::parsed};
use crate::{
    Turn,
    lines::{Lines, Position, records},
    paths::last_component,
    repository,
};

/// Gemini CLI.
#[derive(Clone, Copy, Debug)]
pub(super) struct GeminiCli;

/// The largest file of one document that is read. Larger ones count as a bad line.
const MAX_DOCUMENT: u64 = 64 << 20;

impl Harness for GeminiCli {
    fn harness(&self) -> telemetry_model::Harness {
        telemetry_model::Harness::GEMINI_CLI.into()
    }

    fn provider(&self) -> Provider {
        Provider::GOOGLE.into()
    }

    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        let variable = environment.variables.get("GEMINI_CLI_HOME");
        let named = variable.filter(|path| !path.is_empty()).map(PathBuf::from);
        // The variable names the home folder, not `.gemini` in it.
        let home = named.unwrap_or_else(|| environment.home.clone());
        vec![home.join(".gemini").join("tmp")]
    }

    fn is_log(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return true };
        let is_lines = path.extension() == Some(OsStr::new("jsonl"));
        let is_log = is_lines || path.extension() == Some(OsStr::new("json"));
        let is_session = name.to_string_lossy().starts_with("session-");
        let mut folders = path.ancestors().skip(1).map(Path::file_name);
        let chats = Some(OsStr::new("chats"));
        match (folders.next().flatten(), folders.next().flatten()) {
            (folder, _) if folder == chats => is_log && is_session,
            (_, folder) if folder == chats => is_lines,
            _ => false,
        }
    }

    fn read(&self, path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
        if path.extension() == Some(OsStr::new("json")) {
            read_document(path, from, found)
        } else {
            read_lines(path, from, found)
        }
    }
}

fn read_lines(path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
    // The checkpoint does not have the head, since an id of a session must not get into the state.
    let mut first = Lines::open(path, 0)?;
    let first = first.next()?.map(|(_, line)| serde_json::from_slice::<Record<'_>>(line));
    let head = first.and_then(Result::ok).unwrap_or_default();
    let mut turns = Turns::new(from, context(path, &head));
    let mut lines = Lines::open(path, from.offset)?;
    let start = Position { offset: from.offset, index: turns.skipped() };
    while let Some(line) = lines.next()? {
        let read = |at, record: &Record<'_>| turns.record(record, at, &mut found.turns);
        found.bad_lines += u64::from(!records(line, start, read));
    }
    found.bad_lines += lines.too_long;
    Ok(turns.end(&mut found.turns))
}

/// Reads a file that is one document, which is rewritten for each message.
///
/// It is read as a whole each time, and the turns before the last known one are left out.
fn read_document(path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_DOCUMENT + 1).read_to_end(&mut text)?;
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    let document = serde_json::from_slice::<Record<'_>>(text);
    let (Ok(document), true) = (document, text.len() as u64 <= MAX_DOCUMENT) else {
        // Half written, perhaps.
        found.bad_lines += 1;
        return Ok(from.clone());
    };
    let mut turns = Turns::new(&Checkpoint::default(), context(path, &document));
    let mut all = Vec::new();
    for message in parsed::<Vec<&RawValue>>(document.messages).unwrap_or_default() {
        match parsed::<Record<'_>>(Some(message)) {
            Some(message) => turns.record(&message, Position { offset: 0, index: 0 }, &mut all),
            None => found.bad_lines += 1,
        }
    }
    turns.end(&mut all);
    let known = from.before.parse().unwrap_or(0);
    let closed = all.len().saturating_sub(1).max(known);
    found.turns.extend(all.into_iter().skip(known));
    Ok(Checkpoint { offset: 0, before: closed.to_string() })
}

/// Facts about all turns of a file, from its first line and its path.
fn context(path: &Path, head: &Record<'_>) -> Turn {
    let own = parsed::<String>(head.session_id).unwrap_or_default();
    let parent = parent_session(path);
    let is_part = parent.is_some() || parsed::<&str>(head.kind) == Some("subagent");
    let session = parent.unwrap_or(own);
    let root = root(path);
    Turn {
        session,
        is_part,
        project: project(path, root.as_deref()),
        repo_size: root.as_deref().and_then(repository::size_of),
        ..Turn::default()
    }
}

/// The folder `<project>` of `<project>/chats/…`.
fn project_folder(path: &Path) -> Option<&Path> {
    let is_chats = |folder: &&Path| folder.file_name() == Some(OsStr::new("chats"));
    path.ancestors().skip(1).take(2).find(is_chats)?.parent()
}

/// The folder that the agent worked in, if the version states it.
fn root(path: &Path) -> Option<String> {
    let marker = project_folder(path)?.join(".project_root");
    let is_marker = fs::metadata(&marker).is_ok_and(|it| it.is_file() && it.len() < 1 << 16);
    is_marker.then(|| fs::read_to_string(&marker).unwrap_or_default().trim().to_owned())
}

/// The name of the folder that the agent worked in.
fn project(path: &Path, root: Option<&str>) -> Option<String> {
    if let Some(root) = root {
        return last_component(root).map(Into::into);
    }
    // Older versions name the folder by a hash.
    let name = project_folder(path)?.file_name()?.to_str()?;
    let is_hash = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!is_hash).then(|| name.into())
}

/// The session that a sub-agent's file belongs to, by its folder.
fn parent_session(path: &Path) -> Option<String> {
    let folder = path.parent()?;
    let is_part = project_folder(path)? != folder.parent()?;
    is_part.then(|| folder.file_name()?.to_str().map(Into::into))?
}

#[cfg(test)]
mod tests;

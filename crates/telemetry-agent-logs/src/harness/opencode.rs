//! opencode.
//!
//! A log is a session of the versions before 1.2, which is a file with folders of messages and of parts of messages:
//! `storage/session/<project>/<session>.json`, `storage/message/<session>/` and `storage/part/<message>/`. Or it is the
//! database of later versions, with all sessions (feature `opencode-db`).
//!
//! A fork of a session copies its messages and gives them new ids. So neither [`Turn::key`](crate::Turn::key) nor
//! [`Request::id`](crate::Request::id) is an id of opencode: they consist of times, model and tokens, which copies keep.
//! So do migrations from files to the database and from its first tables to the second ones.

#[cfg(feature = "opencode-db")]
mod database;
mod message;
mod storage;
mod tool;
mod turns;
mod usage;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Checkpoint, Environment, Found, Harness};

/// The deepest nesting of sub-agents.
const MAX_DEPTH: usize = 16;

/// opencode.
#[derive(Debug)]
pub(super) struct Opencode;

impl Harness for Opencode {
    fn harness(&self) -> telemetry_model::Harness {
        telemetry_model::Harness::Opencode
    }

    fn provider(&self) -> telemetry_model::Provider {
        telemetry_model::Provider::Unknown
    }

    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        let data = match environment.variables.get("XDG_DATA_HOME") {
            Some(data) if !data.is_empty() => PathBuf::from(data),
            _ => environment.home.join(".local/share"),
        };
        vec![data.join("opencode")]
    }

    fn is_log(&self, path: &Path) -> bool {
        match names(path).as_deref() {
            Some(&["storage", "session", _, session]) => session.ends_with(".json"),
            Some(&[_]) => cfg!(feature = "opencode-db") && is_database(path),
            _ => false,
        }
    }

    fn may_hold_logs(&self, path: &Path) -> bool {
        match names(path).as_deref() {
            Some([] | ["storage"] | ["storage", "session"] | ["storage", "session", _]) => true,
            // Such as a folder for each message, and the repositories of snapshots.
            _ => false,
        }
    }

    fn watched(&self, path: &Path) -> Vec<PathBuf> {
        if is_database(path) {
            let mut log = path.as_os_str().to_owned();
            log.push("-wal");
            vec![path.to_owned(), log.into()]
        } else {
            storage::watched(path)
        }
    }

    fn read(&self, path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
        if is_database(path) {
            read_database(path, from, found)
        } else {
            storage::read(path, from, found)
        }
    }
}

#[cfg(feature = "opencode-db")]
fn read_database(path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
    database::read(path, from, found)
}

#[cfg(not(feature = "opencode-db"))]
fn read_database(_: &Path, _: &Checkpoint, _: &mut Found) -> io::Result<Checkpoint> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "the database of opencode needs the feature opencode-db",
    ))
}

/// True for `opencode.db`, `opencode-<channel>.db` and the names that `OPENCODE_DB` may give.
fn is_database(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "db")
}

/// The components of a relative path; `None` if one is not a name.
fn names(path: &Path) -> Option<Vec<&str>> {
    path.components()
        .map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect()
}

/// The last message of the last closed turn of a session, which the checkpoint keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Position {
    /// Unix milliseconds.
    at: i64,
    id: String,
}

/// The session of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Session {
    /// Id of the session that a person started: its own, or that of an ancestor of the session of a sub-agent.
    root: String,
    is_child: bool,
    directory: Option<String>,
}

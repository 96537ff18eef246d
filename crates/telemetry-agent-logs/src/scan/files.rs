//! The logs of all harnesses.

use std::{
    collections::BTreeSet,
    fs::Metadata,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::{Options, Unreadable};
use crate::{Harness, hash::hash};

/// A log, and what decides whether it has changed.
#[derive(Debug)]
pub(super) struct Log<'a> {
    pub(super) harness: &'a dyn Harness,
    pub(super) path: PathBuf,
    /// Hash of the path.
    pub(super) key: u64,
    pub(super) stamp: Stamp,
}

/// What changes with a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// Device and inode; 0 where there are none.
    pub(super) file: (u64, u64),
    pub(super) len: u64,
    /// Unix nanoseconds.
    modified: u64,
}

/// Finds the logs, ordered by path within each harness. Links are followed; a file with several names is found once.
pub(super) fn find<'a>(options: &Options<'a>, unreadable: &mut Vec<Unreadable>) -> Vec<Log<'a>> {
    let mut logs = Vec::new();
    for harness in options.harnesses.iter().copied() {
        let mut known = BTreeSet::new();
        for root in harness.roots(options.environment) {
            for entry in WalkDir::new(&root).follow_links(true).sort_by_file_name() {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        note(&root, error, unreadable);
                        continue;
                    }
                };
                let path = entry.path().strip_prefix(&root).unwrap_or_else(|_| entry.path());
                // Not a pipe, which would block.
                if !entry.file_type().is_file() || !harness.is_log(path) {
                    continue;
                }
                let stamp = entry.metadata().map(|it| Stamp::of(&it)).unwrap_or_default();
                if stamp.file == (0, 0) || known.insert(stamp.file) {
                    let key = hash(&entry.path().to_string_lossy());
                    logs.push(Log { harness, path: entry.into_path(), key, stamp });
                }
            }
        }
    }
    logs
}

/// A root that does not exist is no fault: the agent is not installed.
fn note(root: &Path, error: walkdir::Error, unreadable: &mut Vec<Unreadable>) {
    let path = error.path().unwrap_or(root).to_owned();
    let error = io::Error::from(error);
    if error.kind() != io::ErrorKind::NotFound {
        unreadable.push(Unreadable { path, error });
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let file = (0, 0);
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let modified = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Self { file, len: metadata.len(), modified }
    }
}

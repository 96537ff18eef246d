//! The logs of all harnesses.

use std::{
    collections::BTreeSet,
    fs, io,
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

/// Properties that change with a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// Device and inode; 0 where there are none.
    pub(super) file: (u64, u64),
    pub(super) len: u64,
    /// Unix nanoseconds; combined with those of other files that belong to the log.
    pub(super) modified: u64,
    /// The lengths of those files.
    others: u64,
}

/// Finds the logs, ordered by path within each harness. Links are followed; a file with several names is found once.
pub(super) fn find<'a>(options: &Options<'a>, unreadable: &mut Vec<Unreadable>) -> Vec<Log<'a>> {
    let mut logs = Vec::new();
    for harness in options.harnesses.iter().copied() {
        let mut known = BTreeSet::new();
        for root in harness.roots(options.environment) {
            let below = |path: &Path| path.strip_prefix(&root).unwrap_or(path).to_owned();
            let walk = WalkDir::new(&root).follow_links(true).into_iter();
            let first = logs.len();
            for entry in walk.filter_entry(|it| {
                !it.file_type().is_dir() || harness.may_hold_logs(&below(it.path()))
            }) {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        note(&root, error, unreadable);
                        continue;
                    }
                };
                // Not a pipe, which would block.
                if !entry.file_type().is_file() || !harness.is_log(&below(entry.path())) {
                    continue;
                }
                let stamp = Stamp::of(entry.path(), &harness.watched(entry.path()));
                if stamp.file == (0, 0) || known.insert(stamp.file) {
                    let key = hash(&entry.path().to_string_lossy());
                    logs.push(Log { harness, path: entry.into_path(), key, stamp });
                }
            }
            // What a sub-agent repeats of its session counts for the session, which is nearer to the root.
            logs[first..].sort_by_cached_key(|it| (it.path.components().count(), it.path.clone()));
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
    /// The stamp of a log and of all that is watched for it.
    fn of(path: &Path, watched: &[PathBuf]) -> Self {
        let mut stamp = Self::default();
        for other in watched {
            let Ok(metadata) = fs::metadata(other) else { continue };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
            stamp.modified = stamp.modified.wrapping_mul(31).wrapping_add(nanos);
            if other == path {
                stamp.file = file(&metadata);
                stamp.len = metadata.len();
            } else {
                stamp.others = stamp.others.wrapping_mul(31).wrapping_add(metadata.len());
            }
        }
        stamp
    }
}

#[cfg(unix)]
fn file(metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;

    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
const fn file(_: &fs::Metadata) -> (u64, u64) {
    (0, 0)
}

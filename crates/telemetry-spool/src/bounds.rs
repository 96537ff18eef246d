//! Bounds of a folder in bytes and files.

use std::{cmp::Reverse, collections::BTreeSet, io::ErrorKind};

use crate::{Error, format::Origin, name::Entry, segment::Segment, shared::Shared};

/// A check of a bound takes place, on average, when an eighth of it was written. With 4,096 files it takes milliseconds
/// and delays the other processes: twice as many checks show in the 99th percentile of eight that run at once.
const PART: u64 = 8;

/// The most passes over the files. Each but the first follows one in which files have gone, perhaps by another process.
const MAX_PASSES: usize = 8;

/// Makes room for a new segment of that many bytes, now and then, since that takes milliseconds if there are many files.
///
/// # Errors
///
/// [`Error::Full`], if what is left after a check belongs to writers that run.
pub(crate) fn check(shared: &Shared, bytes: usize, now: u64) -> Result<(), Error> {
    let part = |bound: u64| (bound / PART).max(1);
    let random = shared.random();
    let are_bytes_due = random % part(shared.options.max_bytes) < bytes as u64;
    let are_files_due = (random >> 32).is_multiple_of(part(shared.options.max_files));
    if are_bytes_due || are_files_due { make_room(shared, are_bytes_due, now) } else { Ok(()) }
}

fn make_room(shared: &Shared, has_lengths: bool, now: u64) -> Result<(), Error> {
    let mut before: Option<BTreeSet<Entry>> = None;
    for _ in 0..MAX_PASSES {
        let mut files = list(shared, has_lengths, now)?;
        if remove_oldest(shared, &mut files, now) {
            return Ok(());
        }
        let entries: BTreeSet<_> = files.iter().map(|it| it.0).collect();
        if before.is_some_and(|before| entries.is_superset(&before)) {
            break;
        }
        // Files that another process holds to make room are gone by now.
        before = Some(entries);
    }
    Err(Error::Full)
}

/// The files and their lengths, or zeros, which cost a fourth of the time. On Windows, the length of a file that is open
/// may be that of its opening.
fn list(shared: &Shared, has_lengths: bool, now: u64) -> Result<Vec<(Entry, u64)>, Error> {
    shared.disk.list(&shared.folder, |file, name| {
        let entry = Entry::parse(name).filter(|it| it.is_claimable(now))?;
        // Gone meanwhile if this fails.
        let is_file = file.file_type().ok()?.is_file();
        let len = if has_lengths { file.metadata().ok()?.len() } else { 0 };
        is_file.then_some((entry, len))
    })
}

/// Removes files if there are too many. False if there still are.
fn remove_oldest(shared: &Shared, files: &mut [(Entry, u64)], now: u64) -> bool {
    let max = (shared.options.max_files, shared.options.max_bytes);
    // Sparse files may add up to more than a number holds.
    let bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.1));
    let mut used = (files.len() as u64, bytes);
    let is_within = |used: (u64, u64), max: (u64, u64)| used.0 <= max.0 && used.1 <= max.1;
    if is_within(used, max) {
        return true;
    }
    // Names from the future come first: a clock was wrong, and they would outlive all others.
    files.sort_unstable_by_key(|(entry, _)| (Reverse(entry.id.is_ahead_of(now)), entry.id));
    for &mut (entry, len) in files {
        if is_within(used, max) {
            break;
        }
        if is_gone_or_foreign(shared, entry) {
            used = (used.0.saturating_sub(1), used.1.saturating_sub(len));
        }
    }
    is_within(used, max)
}

/// Those of other destinations and versions stay, and do not count. A file that cannot be examined counts.
fn is_gone_or_foreign(shared: &Shared, entry: Entry) -> bool {
    let Ok(Some((segment, _, contents))) = Segment::claim(shared, entry) else {
        // Another process may make room at the same time.
        let stat = shared.disk.stat(&shared.path(entry));
        return stat.is_err_and(|it| it.kind() == Some(ErrorKind::NotFound));
    };
    if contents.origin != Origin::Own {
        return true;
    }
    let is_removed = shared.disk.remove(&segment.path).is_ok();
    if is_removed {
        shared.counters.expired.add(contents.records.len() as u64);
        shared.counters.damaged.add(contents.damaged);
    }
    is_removed
}

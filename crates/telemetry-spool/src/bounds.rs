//! Bounds of a folder in bytes and files.

use std::{cmp::Reverse, collections::BTreeSet, io::ErrorKind};

use crate::{
    Error,
    format::Origin,
    name::Entry,
    segment::{SEGMENT_BYTES, Segment},
    shared::Shared,
};

/// One in so many checks is made for small files.
const CHECK_EVERY: u64 = 256;

/// The most passes over the files. Each but the first follows one in which files have gone, perhaps by another process.
const MAX_PASSES: usize = 8;

/// Room made beyond need: this part of a bound.
const SPARE: u64 = 16;

/// Makes room for a new segment, now and then, since that examines each file.
///
/// The chance grows with `bytes`, the length of what was written, so that about 256 KiB or 256 files come
/// between two checks.
///
/// # Errors
///
/// [`Error::Full`], if what is left after a check belongs to writers that run.
pub(crate) fn check(shared: &Shared, bytes: usize, now: u64) -> Result<(), Error> {
    let (bytes, one) = (bytes as u64, SEGMENT_BYTES as u64);
    if shared.random() % one < bytes.max(one / CHECK_EVERY) {
        make_room(shared, now)
    } else {
        Ok(())
    }
}

fn make_room(shared: &Shared, now: u64) -> Result<(), Error> {
    let mut before: Option<BTreeSet<Entry>> = None;
    for _ in 0..MAX_PASSES {
        let files = list(shared, now)?;
        let entries: BTreeSet<_> = files.iter().map(|it| it.0).collect();
        if before.is_some_and(|before| entries.is_superset(&before)) {
            break;
        }
        if remove_oldest(shared, files, now) {
            return Ok(());
        }
        // Files that another process holds to make room are gone by now.
        before = Some(entries);
    }
    Err(Error::Full)
}

/// The files and their lengths.
fn list(shared: &Shared, now: u64) -> Result<Vec<(Entry, u64)>, Error> {
    let mut files = Vec::new();
    for entry in shared.entries()?.into_iter().filter(|it| it.is_claimable(now)) {
        // Gone meanwhile if this fails.
        if let Ok(stat) = shared.disk.stat(&shared.path(entry))
            && stat.is_file()
        {
            files.push((entry, stat.len()));
        }
    }
    Ok(files)
}

/// Removes files if there are too many. False if there still are.
fn remove_oldest(shared: &Shared, mut files: Vec<(Entry, u64)>, now: u64) -> bool {
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
    let target = (max.0 - max.0 / SPARE, max.1 - max.1 / SPARE);
    for (entry, len) in files {
        if is_within(used, target) {
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

//! Reading of records that other processes left.

use std::{
    collections::{BTreeSet, VecDeque},
    fs::File,
    io::ErrorKind,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use crate::{
    Error,
    disk::Lock,
    format::{Contents, MAX_RECORD_BYTES, Origin},
    name::{Entry, SegmentId},
    segment::{Segment, check_owner},
    shared::Shared,
};

/// The most files that are open at once.
const MAX_OPEN: usize = 64;

/// The step by which a drain follows a clock that is ahead, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Reads records whose writers do not live any more, and removes those that are acknowledged.
///
/// There is one for each folder at a time. Dropping it leaves what is not acknowledged to the next one, also if the
/// process is killed. Records of a writer that lives when its file is examined are for a later drain.
#[derive(Debug)]
pub struct Drain {
    shared: Arc<Shared>,
    /// Held while the drain lives.
    lock: File,
    now: u64,
    /// Names before this time, in unix milliseconds, are too old.
    expire_before: u64,
    /// Files to examine, the oldest last.
    waiting: Vec<Entry>,
    /// Files that were examined.
    visited: BTreeSet<SegmentId>,
    /// Files with records that are not acknowledged. All but the last have been read to their end.
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    segment: Segment,
    bytes: Vec<u8>,
    contents: Contents,
    read: usize,
    acknowledged: usize,
}

impl Drain {
    pub(crate) fn start(shared: Arc<Shared>, now: u64) -> Result<Option<Self>, Error> {
        let path = shared.folder.join("drain.lock");
        let (lock, last) = open_lock(&shared, &path)?;
        if !shared.disk.try_lock(&lock, &path, Lock::Drain)? {
            return Ok(None);
        }
        let last = match last {
            Some(last) => last,
            // A first drain knows no other time.
            None => {
                let entries = shared.entries()?.into_iter().map(|it| it.id);
                let past = entries.filter(|it| !it.is_ahead_of(now));
                past.map(|it| it.millis).max().unwrap_or(now)
            }
        };
        let reached = now.min(last.saturating_add(DAY));
        // Also back: under a clock that was behind, records got names that are too old when it is right. If this
        // fails, records live longer.
        let _ = shared.disk.touch(&lock, &path, reached);
        let max_age = u64::try_from(shared.options.max_age.as_millis()).unwrap_or(u64::MAX);
        Ok(Some(Self {
            lock,
            now,
            expire_before: reached.saturating_sub(max_age),
            waiting: Vec::new(),
            visited: BTreeSet::new(),
            held: VecDeque::new(),
            shared,
        }))
    }

    /// Reads up to `max` records that were not read before, and at most about 1 MiB of them.
    ///
    /// Returns none when there are no more. While records are not acknowledged, it also returns none if 64 files or
    /// as many as the system allows are open. Calls before that read on.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed. A file that cannot be read is left for a later drain.
    pub fn read(&mut self, max: usize) -> Result<Vec<Vec<u8>>, Error> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < max && bytes < MAX_RECORD_BYTES {
            if let Some(record) = self.held.back_mut().and_then(Held::next) {
                bytes += record.len();
                records.push(record);
                continue;
            }
            if self.held.len() >= MAX_OPEN {
                break;
            }
            match self.next_entry() {
                Ok(Some(entry)) => {
                    // With files held, there may be too many open ones.
                    if self.visit(entry).is_err() && !self.held.is_empty() {
                        self.visited.remove(&entry.id);
                        self.waiting.push(entry);
                        break;
                    }
                }
                Err(error) if records.is_empty() => return Err(error),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(records)
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        if self.waiting.is_empty() {
            let mut entries = self.shared.entries()?;
            entries.retain(|it| it.is_claimable(self.now) && !self.visited.contains(&it.id));
            entries.sort_unstable_by_key(|it| std::cmp::Reverse(it.id));
            self.waiting = entries;
        }
        let entry = self.waiting.pop();
        self.visited.extend(entry.map(|it| it.id));
        Ok(entry)
    }

    fn visit(&mut self, entry: Entry) -> Result<(), Error> {
        let Some((segment, bytes, contents)) = Segment::claim(&self.shared, entry)? else {
            return Ok(());
        };
        if entry.id.millis < self.expire_before {
            if self.shared.disk.remove(&segment.path).is_ok() {
                self.shared.counters.expired.add(contents.records.len() as u64);
                self.shared.counters.damaged.add(contents.damaged);
            }
        } else if contents.origin == Origin::Own {
            let held = Held { segment, bytes, contents, read: 0, acknowledged: 0 };
            if held.contents.records.is_empty() {
                let _ = held.remove(&self.shared);
            } else {
                self.held.push_back(held);
            }
        }
        Ok(())
    }

    /// Acknowledges the first `count` records that were read and are not acknowledged yet: they are delivered,
    /// or not needed any more.
    ///
    /// # Errors
    ///
    /// A file could not be removed, or changed: these records can be read again by a later drain.
    pub fn acknowledge(&mut self, count: usize) -> Result<(), Error> {
        let (mut left, mut result) = (count, Ok(()));
        while let Some(front) = self.held.front_mut() {
            let some = left.min(front.read - front.acknowledged);
            if some == 0 {
                break;
            }
            left -= some;
            front.acknowledged += some;
            self.shared.counters.recovered.add(some as u64);
            let done = front.acknowledge(&self.shared);
            if front.acknowledged == front.contents.records.len() {
                self.held.pop_front();
            }
            result = result.and(done);
        }
        result
    }

    /// The number of records that were read and are not acknowledged.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.held.iter().map(|it| it.read - it.acknowledged).sum()
    }

    /// Ends the drain as dropping does, and returns whether files have appeared meanwhile. Then start another:
    /// their processes may have found this one at work, and left their files to it.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed.
    pub fn close(self) -> Result<bool, Error> {
        let Self { shared, lock, now, visited, held, .. } = self;
        drop((held, lock));
        let mut entries = shared.entries()?.into_iter();
        Ok(entries.any(|it| it.is_claimable(now) && !visited.contains(&it.id)))
    }
}

impl Held {
    fn next(&mut self) -> Option<Vec<u8>> {
        let (_, place) = self.contents.records.get(self.read)?;
        let record = self.bytes.get(place.clone())?.to_vec();
        self.read += 1;
        if self.read == self.contents.records.len() {
            self.bytes = Vec::new();
        }
        Some(record)
    }

    fn acknowledge(&self, shared: &Shared) -> Result<(), Error> {
        let is_done = self.acknowledged == self.contents.records.len();
        let removed = if is_done { self.remove(shared) } else { Ok(()) };
        // Also if it cannot be removed: a later drain then does not deliver them again.
        let is_needed = !is_done || removed.is_err();
        let last = self.acknowledged.checked_sub(1).and_then(|it| self.contents.records.get(it));
        match last {
            Some((through, _)) if is_needed => {
                let appended = self.segment.acknowledge(shared, *through);
                removed.and(appended)
            }
            _ => removed,
        }
    }

    fn remove(&self, shared: &Shared) -> Result<(), Error> {
        shared.disk.remove(&self.segment.path)?;
        shared.counters.damaged.add(self.contents.damaged);
        Ok(())
    }
}

/// Opens the lock of drains, and returns the time of the last one, in unix milliseconds.
fn open_lock(shared: &Shared, path: &Path) -> Result<(File, Option<u64>), Error> {
    let disk = &shared.disk;
    let opened = match disk.stat(path) {
        Ok(stat) => {
            let modified = stat.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            (disk.open(path)?, Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
        }
        Err(error) if error.kind() == Some(ErrorKind::NotFound) => match disk.create(path) {
            Ok(file) => {
                if let Err(error) = check_owner(shared, &file, path) {
                    let _ = disk.remove(path);
                    return Err(error);
                }
                (Some(file), None)
            }
            // Another process was faster.
            Err(error) if error.kind() == Some(ErrorKind::AlreadyExists) => {
                (disk.open(path)?, None)
            }
            Err(error) => return Err(error),
        },
        Err(error) => return Err(error),
    };
    match opened {
        (Some(file), last) => Ok((file, last)),
        (None, _) => Err(Error::Untrusted { path: path.into(), reason: "is not a file" }),
    }
}

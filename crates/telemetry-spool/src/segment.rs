//! Segments: files of records, each with one owner at a time, who holds its lock.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    disk::Lock,
    format::{Contents, parse},
    name::Entry,
    shared::Shared,
};

/// Length in bytes from which a writer begins a new segment, 256 KiB.
pub const SEGMENT_BYTES: usize = 256 * 1024;

/// Names that are tried for a new segment.
const MAX_ATTEMPTS: usize = 16;

/// The most that is read of a file: several times what a writer and drains write to one. The rest is damage.
pub(crate) const MAX_READ: u64 = 4 * 1024 * 1024;

/// An open segment. Dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

impl Segment {
    /// Writes a new segment, which appears with all of its records and locked, or not at all.
    ///
    /// With `is_durable`, it is on the disk on return.
    pub(crate) fn create(
        shared: &Shared,
        records: &[u8],
        is_durable: bool,
        now: u64,
    ) -> Result<Self, Error> {
        let mut bytes = Vec::with_capacity(records.len() + 256);
        shared.destination.write_start(&mut bytes);
        bytes.extend(records);
        let mut attempts = 1..=MAX_ATTEMPTS;
        loop {
            let attempt = attempts.next();
            let id = shared.new_id(now);
            let [temporary, path] =
                [true, false].map(|is_temporary| shared.path(Entry { id, is_temporary }));
            #[cfg(test)]
            let temporary = shared.disk.hooks.temporary(temporary, &path);
            let file = match shared.disk.create(&temporary) {
                Err(error)
                    if error.kind() == Some(io::ErrorKind::AlreadyExists) && attempt.is_some() =>
                {
                    continue;
                }
                result => result?,
            };
            // Renaming replaces a segment of the same name: one of the same millisecond and 48 random bits. To look for
            // it waits for the lock of the folder, and delayed one in eight processes that ran at once.
            let mut segment = Self { file, path: temporary };
            return match segment.publish(shared, &bytes, path, is_durable) {
                Ok(()) => Ok(segment),
                Err(error) => {
                    // Left behind, it is salvaged or removed by a drain.
                    if let Ok(true) = shared.disk.is_current(&segment.file, &segment.path) {
                        let _ = shared.disk.remove(&segment.path);
                    }
                    Err(error)
                }
            };
        }
    }

    fn publish(
        &mut self,
        shared: &Shared,
        bytes: &[u8],
        path: PathBuf,
        is_durable: bool,
    ) -> Result<(), Error> {
        let disk = &shared.disk;
        check_owner(shared, &self.file, &self.path)?;
        if !disk.try_lock(&self.file, &self.path, Lock::Writer)? {
            return Err(self.error("lock", io::ErrorKind::WouldBlock));
        }
        if disk.write(&self.file, &self.path, bytes)? < bytes.len() {
            return Err(self.error("write to", io::ErrorKind::WriteZero));
        }
        if is_durable {
            disk.sync(&self.file, &self.path)?;
        }
        disk.rename(&self.path, &path)?;
        self.path = path;
        // A drain may have removed the temporary file before it was locked, and another process created one of
        // that name.
        if !self.is_published(shared)? {
            return Err(self.error("rename", io::ErrorKind::NotFound));
        }
        if is_durable { disk.sync_folder(&shared.folder) } else { Ok(()) }
    }

    fn is_published(&self, shared: &Shared) -> Result<bool, Error> {
        #[cfg(test)]
        if shared.disk.hooks.is_without_temporary_name() {
            return Ok(true);
        }
        shared.disk.is_current(&self.file, &self.path)
    }

    pub(crate) fn error(&self, operation: &'static str, kind: io::ErrorKind) -> Error {
        Error::Io { operation, path: self.path.clone(), source: kind.into() }
    }

    /// Takes a segment whose writer is gone, and reads it. Returns `None` if it has a writer or is none.
    pub(crate) fn claim(
        shared: &Shared,
        entry: Entry,
    ) -> Result<Option<(Self, Vec<u8>, Contents)>, Error> {
        let (disk, path) = (&shared.disk, shared.path(entry));
        let Some(file) = disk.open(&path)? else { return Ok(None) };
        if !disk.try_lock(&file, &path, Lock::Claim)? || !Self::is_claimed(shared, &file, &path)? {
            return Ok(None);
        }
        let bytes = disk.read(&file, &path, MAX_READ)?;
        let mut contents = parse(&bytes, &shared.destination);
        if entry.is_temporary {
            // Its writer has reported no record.
            contents.damaged = 0;
        }
        Ok(Some((Self { file, path }, bytes, contents)))
    }

    /// Returns whether the lock protects the segment: the file may have been removed or renamed before it was locked.
    fn is_claimed(shared: &Shared, file: &File, path: &Path) -> Result<bool, Error> {
        #[cfg(test)]
        if shared.disk.hooks.is_without(Lock::Drain) {
            return Ok(true);
        }
        shared.disk.is_current(file, path)
    }

    /// Appends that records up to `through`, counted in this segment, are done with.
    pub(crate) fn acknowledge(&self, shared: &Shared, through: u64) -> Result<(), Error> {
        let mut bytes = Vec::new();
        shared.destination.write_acknowledged(&mut bytes, through);
        if shared.disk.write(&self.file, &self.path, &bytes)? < bytes.len() {
            return Err(self.error("write to", io::ErrorKind::WriteZero));
        }
        Ok(())
    }
}

/// Root can write to the folders of other users, who could then not read its files.
pub(crate) fn check_owner(shared: &Shared, file: &File, path: &Path) -> Result<(), Error> {
    if shared.disk.owner(file, path)? == shared.owner {
        return Ok(());
    }
    Err(Error::Untrusted { path: path.into(), reason: "the folder belongs to another user" })
}

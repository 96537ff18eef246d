//! The spool.

use std::{hash::RandomState, path::Path, sync::Arc};

use crate::{
    Drain, Error, SpoolOptions, Stats, SyncPolicy, Usage, Writer, bounds,
    disk::Disk,
    folder,
    format::{Destination, MAX_RECORD_BYTES, Origin, check_length, parse},
    name::Entry,
    segment::Segment,
    shared::Shared,
    stats::Counters,
};

/// Records for one destination, in files of one folder.
///
/// Any number of threads and processes can use the folder at once. A clone shares the counters.
///
/// Times are in unix milliseconds. They order the files, and decide about their age; a wrong clock costs no records
/// that fit the bounds.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
}

impl Spool {
    /// Opens the folder `<root>/v1/<name>`. Creates it and its parents for this user only, if they do not exist.
    ///
    /// Looks at no file in it. `header` describes the destination, for example by its URL. Each file repeats it, and
    /// records of files with another one are never returned, so that records cannot reach the wrong destination if
    /// names collide. It is stored as it is: leave secrets out.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidName`]
    /// - [`Error::TooLarge`] for a header of more than [`MAX_HEADER_BYTES`](crate::MAX_HEADER_BYTES)
    /// - [`Error::Io`], if the folder does not exist and cannot be created
    /// - on Unix [`Error::Untrusted`], if another user (except root) owns the folder or a parent, or group or others
    ///   can write to one. A parent with the sticky bit, as `/tmp`, is accepted.
    pub fn open(
        root: impl AsRef<Path>,
        name: &str,
        header: &[u8],
        options: SpoolOptions,
    ) -> Result<Self, Error> {
        Self::with_disk(Disk::default(), root.as_ref(), name, header, options)
    }

    pub(crate) fn with_disk(
        disk: Disk,
        root: &Path,
        name: &str,
        header: &[u8],
        options: SpoolOptions,
    ) -> Result<Self, Error> {
        let destination = Destination::new(header)?;
        let is_durable = options.sync == SyncPolicy::Always;
        let (folder, owner) = folder::prepare(&disk, root, name, is_durable)?;
        let (counters, random, drawn) = (Counters::default(), RandomState::new(), 0.into());
        let shared = Shared { disk, folder, owner, destination, options, counters, random, drawn };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Writes one record, for a short process. Costs a file that is created and renamed, and now and then an
    /// examination of all files.
    ///
    /// # Errors
    ///
    /// The record is not in the spool, unless the system also failed to remove what was written. [`Error::Full`] if the
    /// files of running writers leave no room.
    pub fn put(&self, record: &[u8], now: u64) -> Result<(), Error> {
        let shared = &*self.shared;
        check_length(record.len(), MAX_RECORD_BYTES)?;
        let mut bytes = Vec::new();
        shared.destination.write_record(&mut bytes, 1, record);
        bounds::check(shared, bytes.len(), now)?;
        let is_durable = shared.options.sync != SyncPolicy::Never;
        Segment::create(shared, &bytes, is_durable, now)?;
        shared.counters.written.add(1);
        Ok(())
    }

    /// Returns a writer for a process that lives on. It creates a file when it appends.
    #[must_use]
    pub fn writer(&self) -> Writer {
        Writer::new(Arc::clone(&self.shared))
    }

    /// Starts to read what writers left that do not live any more, the oldest first. Returns `None` while another
    /// drain of this folder lives, in this process or in another.
    ///
    /// Records older than `max_age` are removed instead. Their age is measured at the time of the last drain plus one
    /// day, if that is before `now`: a clock that jumps ahead ages records by a day for each drain, and each of
    /// them can deliver records.
    ///
    /// # Errors
    ///
    /// [`Error::LocksUnsupported`], [`Error::Io`], or [`Error::Untrusted`] if `drain.lock` is not a file.
    pub fn drain(&self, now: u64) -> Result<Option<Drain>, Error> {
        Drain::start(Arc::clone(&self.shared), now)
    }

    /// Returns the counters of this spool and its clones, writers and drains.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.stats()
    }

    /// Counts what the folder holds. Reads all files, and takes no lock: with writers at work, the numbers are
    /// approximate. On Windows, files of running writers are not counted.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed. Files that cannot be read are left out.
    pub fn usage(&self) -> Result<Usage, Error> {
        let mut usage = Usage::default();
        for entry in self.shared.entries()? {
            if let Ok(Some((records, bytes))) = self.examine(entry) {
                usage.files += 1;
                usage.bytes = usage.bytes.saturating_add(bytes);
                usage.records += records;
            }
        }
        Ok(usage)
    }

    fn examine(&self, entry: Entry) -> Result<Option<(u64, u64)>, Error> {
        let (shared, path) = (&*self.shared, self.shared.path(entry));
        let Some(file) = shared.disk.open(&path)? else { return Ok(None) };
        if !shared.disk.is_current(&file, &path)? {
            return Ok(None);
        }
        let bytes = shared.disk.read(&file, &path, crate::segment::MAX_READ)?;
        let contents = parse(&bytes, &shared.destination);
        let records = if contents.origin == Origin::Own { contents.records.len() } else { 0 };
        Ok(Some((records as u64, shared.disk.stat(&path)?.len())))
    }

    /// The folder of the destination.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.folder
    }
}

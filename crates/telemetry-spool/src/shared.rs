//! State that the spool shares with its writers and drains.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Error, SpoolOptions,
    disk::Disk,
    format::Destination,
    name::{Entry, SegmentId, new_id, random},
    stats::Counters,
};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Disk,
    pub(crate) folder: PathBuf,
    /// User id of the folder, on Unix.
    pub(crate) owner: Option<u32>,
    pub(crate) destination: Destination,
    pub(crate) options: SpoolOptions,
    pub(crate) counters: Counters,
    /// Number of random numbers drawn.
    pub(crate) drawn: AtomicU64,
}

impl Shared {
    pub(crate) fn random(&self, now: u64) -> u64 {
        random(self.options.seed, self.draw(), now)
    }

    pub(crate) fn new_id(&self, now: u64) -> SegmentId {
        new_id(self.options.seed, self.draw(), now)
    }

    fn draw(&self) -> u64 {
        // Relaxed: says nothing about other data.
        self.drawn.fetch_add(1, Ordering::Relaxed)
    }

    /// The names of segments, in no order.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, Error> {
        let names = self.disk.list(&self.folder)?;
        Ok(names.iter().filter_map(|name| Entry::parse(name)).collect())
    }

    pub(crate) fn path(&self, entry: Entry) -> PathBuf {
        self.folder.join(entry.file_name())
    }
}

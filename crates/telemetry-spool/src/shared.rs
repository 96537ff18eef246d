//! State that the spool shares with its writers and drains.

use std::{
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Error, SpoolOptions,
    disk::Disk,
    format::Destination,
    name::{Entry, SegmentId},
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
    pub(crate) random: RandomState,
    /// Number of random numbers drawn.
    pub(crate) drawn: AtomicU64,
}

impl Shared {
    /// A random number, not for secrets.
    pub(crate) fn random(&self) -> u64 {
        self.draw().1
    }

    pub(crate) fn new_id(&self, now: u64) -> SegmentId {
        let (count, random) = self.draw();
        // 48 random bits, so that no other process gives the same name within the same millisecond.
        SegmentId { millis: now, random: count << 48 | random >> 16 }
    }

    fn draw(&self) -> (u64, u64) {
        // Relaxed: says nothing about other data.
        let count = self.drawn.fetch_add(1, Ordering::Relaxed);
        // A forked child inherits the rest: the process id makes the difference.
        (count, self.random.hash_one((process::id(), count)))
    }

    /// The names of segments, in no order.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, Error> {
        self.disk.list(&self.folder, |_, name| Entry::parse(name))
    }

    pub(crate) fn path(&self, entry: Entry) -> PathBuf {
        self.folder.join(entry.file_name())
    }
}

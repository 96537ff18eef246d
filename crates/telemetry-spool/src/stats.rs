//! Counters.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of records of one [`Spool`](crate::Spool), its clones, writers and drains.
///
/// Other processes that use the same folder count for themselves. Added up over all of them,
/// `written = acknowledged + recovered + damaged + expired + held`, where `held` is
/// [`Usage::records`]. A process that is killed takes its counters along; what it wrote when it was killed can be in
/// the spool without being counted as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Records written by [`put`](crate::Spool::put) and [`append`](crate::Writer::append).
    pub written: u64,
    /// Records acknowledged by the [`Writer`](crate::Writer) that wrote them.
    pub acknowledged: u64,
    /// Records read and acknowledged by a [`Drain`](crate::Drain).
    pub recovered: u64,
    /// Records that could not be read, counted when their file is removed. Damage that does not tell how many records
    /// it has cost counts as one.
    pub damaged: u64,
    /// Records removed unread because of a bound: bytes, files or age.
    pub expired: u64,
}

/// Size of what a folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Records that are not acknowledged, those of running writers included.
    pub records: u64,
    /// Files of records.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) written: Counter,
    pub(crate) acknowledged: Counter,
    pub(crate) recovered: Counter,
    pub(crate) damaged: Counter,
    pub(crate) expired: Counter,
}

impl Counters {
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            written: self.written.load(),
            acknowledged: self.acknowledged.load(),
            recovered: self.recovered.load(),
            damaged: self.damaged.load(),
            expired: self.expired.load(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        // Relaxed: says nothing about other data.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

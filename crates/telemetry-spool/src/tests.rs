//! Tests that inject faults into file operations, or leave out steps of the protocol.

use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
};

use crate::{Spool, SpoolOptions, SyncPolicy, disk::Disk};

pub(crate) mod hooks;
mod interleavings;
#[cfg(unix)]
mod kill_loop;
mod kill_points;
#[cfg(unix)]
mod power_loss;
mod temporary;

use self::{
    hooks::{Hook, Hooks, Mutant},
    temporary::TemporaryFolder,
};

const NOW: u64 = 1_800_000_000_000;

/// Late enough to salvage the temporary files of `NOW`.
const LATER: u64 = NOW + 61_000;

#[derive(Default)]
struct Setup {
    hook: Option<Arc<dyn Hook>>,
    mutant: Option<Mutant>,
    sync: SyncPolicy,
    max_files: Option<u64>,
}

impl Setup {
    fn open(self, root: &Path) -> Result<Spool, crate::Error> {
        let hooks = Hooks { hook: self.hook, mutant: self.mutant };
        let mut options = SpoolOptions { sync: self.sync, ..SpoolOptions::default() };
        options.max_files = self.max_files.unwrap_or(options.max_files);
        Spool::with_disk(Disk { hooks }, root, "test", b"destination", options)
    }
}

/// Records as a program sees them.
#[derive(Debug, Default)]
struct Ledger {
    /// Handed to the spool.
    submitted: BTreeSet<String>,
    /// Reported to be in the spool.
    durable: BTreeSet<String>,
    /// Delivered and acknowledged.
    acknowledged: Vec<String>,
    /// Delivered; the acknowledgement failed.
    unacknowledged: Vec<String>,
}

impl Ledger {
    fn put(&mut self, spool: &Spool, record: &str) {
        self.submitted.insert(record.into());
        if spool.put(record.as_bytes(), NOW).is_ok() {
            self.durable.insert(record.into());
        }
    }

    fn append(&mut self, writer: &mut crate::Writer, records: &[String]) -> Vec<String> {
        self.submitted.extend(records.iter().cloned());
        let written = match writer.append(records, NOW) {
            Ok(written) => written,
            Err(error) => error.written,
        };
        let count = usize::try_from(written.end - written.start).unwrap();
        self.durable.extend(records[..count].iter().cloned());
        records[..count].to_vec()
    }

    fn acknowledge(&mut self, records: Vec<String>, result: &Result<(), crate::Error>) {
        match result {
            Ok(()) => self.acknowledged.extend(records),
            Err(_) => self.unacknowledged.extend(records),
        }
    }

    /// Reads up to `max` records, and acknowledges the first `count` of `read`, to which it adds them. Returns whether
    /// there were any.
    fn read(
        &mut self,
        drain: &mut crate::Drain,
        read: &mut VecDeque<String>,
        max: usize,
        count: usize,
    ) -> bool {
        let records = drain.read(max).unwrap_or_default();
        let is_empty = records.is_empty();
        read.extend(records.into_iter().map(|it| String::from_utf8(it).unwrap()));
        let some: Vec<_> = read.drain(..count.min(read.len())).collect();
        let result = drain.acknowledge(some.len());
        self.acknowledge(some, &result);
        assert_eq!(drain.pending(), read.len());
        !is_empty
    }

    /// Delivers what the spool holds for drains.
    fn drain(&mut self, spool: &Spool, now: u64) {
        while let Ok(Some(mut drain)) = spool.drain(now) {
            let mut read = VecDeque::new();
            while self.read(&mut drain, &mut read, 3, 3) {}
            if !drain.close().unwrap_or_default() {
                break;
            }
        }
    }

    /// Checks that each record is delivered: exactly once, unless its acknowledgement has failed.
    fn problem(&self) -> Option<String> {
        let all = || self.acknowledged.iter().chain(&self.unacknowledged);
        let delivered: BTreeSet<_> = all().collect();
        if let Some(lost) = self.durable.iter().find(|it| !delivered.contains(it)) {
            return Some(format!("lost: {lost:.20}"));
        }
        if let Some(unknown) = delivered.iter().find(|it| !self.submitted.contains(**it)) {
            return Some(format!("unknown: {unknown:.20}"));
        }
        let twice = delivered
            .iter()
            .find(|record| self.acknowledged.iter().filter(|it| it == *record).count() > 1);
        twice.map(|record| format!("twice: {record:.20}"))
    }
}

/// Names in the folder of a spool, without the lock of drains.
fn files(root: &Path) -> Vec<String> {
    let names = std::fs::read_dir(root.join("v1/test")).unwrap();
    let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
    names.filter(|it| it != "drain.lock").collect()
}

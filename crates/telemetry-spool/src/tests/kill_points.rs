//! Each file operation of a script fails, or is the last of its process.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::{Hook, LATER, Ledger, NOW, Setup, TemporaryFolder, files};
use crate::{Spool, SyncPolicy, disk::Op};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Error,
    ShortWrite,
    DeathBefore,
    DeathWithin,
    DeathAfter,
}

const FAULTS: [Fault; 5] =
    [Fault::Error, Fault::ShortWrite, Fault::DeathBefore, Fault::DeathWithin, Fault::DeathAfter];

/// Injects `fault` into the operation with number `at`.
struct Injection {
    fault: Fault,
    at: usize,
    count: AtomicUsize,
    is_dead: AtomicBool,
}

impl Injection {
    fn new(fault: Fault, at: usize) -> Arc<Self> {
        Arc::new(Self { fault, at, count: AtomicUsize::new(0), is_dead: AtomicBool::new(false) })
    }

    fn is_at(&self, count: usize) -> bool {
        self.count.load(Ordering::Relaxed) == count
    }

    fn die(&self) -> io::Result<()> {
        self.is_dead.store(true, Ordering::Relaxed);
        Err(io::Error::other("dead"))
    }
}

impl Hook for Injection {
    fn before(&self, _: Op, _: &Path) -> io::Result<()> {
        if self.is_dead.load(Ordering::Relaxed) {
            return Err(io::Error::other("dead"));
        }
        let is_at = self.is_at(self.at);
        self.count.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Error if is_at => Err(io::ErrorKind::StorageFull.into()),
            Fault::DeathBefore if is_at => self.die(),
            _ => Ok(()),
        }
    }

    fn after(&self, op: Op, _: &Path) -> io::Result<()> {
        let is_at = self.is_at(self.at + 1) && !self.is_dead.load(Ordering::Relaxed);
        match self.fault {
            Fault::DeathAfter if is_at => self.die(),
            Fault::DeathWithin if is_at && op == Op::Write => self.die(),
            _ => Ok(()),
        }
    }

    fn shorten(&self, len: usize) -> usize {
        let is_short = matches!(self.fault, Fault::ShortWrite | Fault::DeathWithin);
        if is_short && self.is_at(self.at) { len * 2 / 3 } else { len }
    }
}

/// Uses each operation of the spool, as one process.
fn run_script(spool: &Spool, ledger: &mut Ledger) {
    let names = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for record in ["put-1", "put-2", "put-3"] {
        ledger.put(spool, record);
    }
    let mut small = spool.writer();
    let first = ledger.append(&mut small, &names("small-1 small-2 small-3 small-4"));
    ledger.append(&mut small, &names("small-5"));
    let some: Vec<_> = first.into_iter().take(2).collect();
    let acknowledged = small.acknowledge(some.len() as u64);
    ledger.acknowledge(some, &acknowledged);

    // Several files.
    let mut large = spool.writer();
    let records: Vec<_> = (0..3).map(|n| format!("{n}{}", "x".repeat(90_000))).collect();
    let written = ledger.append(&mut large, &records);
    let some: Vec<_> = written.into_iter().take(1).collect();
    let acknowledged = large.acknowledge(some.len() as u64);
    ledger.acknowledge(some, &acknowledged);
    ledger.append(&mut large, &names("large-1"));

    let mut all = spool.writer();
    let written = ledger.append(&mut all, &names("done-1 done-2"));
    let acknowledged = all.acknowledge(2);
    ledger.acknowledge(written, &acknowledged);
    let _ = all.close();

    if let Ok(Some(mut drain)) = spool.drain(NOW) {
        let mut read = VecDeque::new();
        ledger.read(&mut drain, &mut read, 2, 1);
        ledger.read(&mut drain, &mut read, 5, 1);
        let _ = drain.close();
    }
    let _ = small.close();
    if let Ok(Some(mut drain)) = spool.drain(NOW) {
        ledger.read(&mut drain, &mut VecDeque::new(), 3, 2);
    }
    drop(large);
}

fn try_all(sync: SyncPolicy) {
    for fault in FAULTS {
        let is_done = |at| try_one(sync, fault, at);
        let count = (0..).take_while(|at| !is_done(*at)).count();
        assert!(count > 100, "{fault:?}: the script has {count} operations");
    }
}

/// Returns whether the script has no operation `at`.
fn try_one(sync: SyncPolicy, fault: Fault, at: usize) -> bool {
    let (case, root) = (format!("{fault:?} {at}"), TemporaryFolder::new());
    let injection = Injection::new(fault, at);
    let hook: Arc<dyn Hook> = Arc::<Injection>::clone(&injection);
    let mut ledger = Ledger::default();
    let spool = Setup { hook: Some(hook), sync, ..Setup::default() }.open(&root);
    if let Ok(spool) = &spool {
        run_script(spool, &mut ledger);
    }
    let before = spool.map(|it| it.stats()).unwrap_or_default();

    let spool = Setup::default().open(&root).unwrap();
    ledger.drain(&spool, LATER);
    assert_eq!(ledger.problem(), None, "{case}");
    assert_eq!(files(&root), [""; 0], "{case}");
    let after = spool.stats();
    let damaged = before.damaged + after.damaged;
    assert!(damaged <= u64::from(fault == Fault::DeathWithin), "{case}: {damaged}");
    if !injection.is_dead.load(Ordering::Relaxed) && ledger.unacknowledged.is_empty() {
        let recovered = before.recovered + after.recovered;
        assert_eq!(before.written, before.acknowledged + recovered, "{case}");
    }
    injection.count.load(Ordering::Relaxed) <= at
}

#[test]
fn fault_at_any_operation_loses_and_repeats_no_record() {
    try_all(SyncPolicy::Never);
}

#[test]
fn fault_at_any_operation_loses_and_repeats_no_record_with_the_policy_on_close() {
    try_all(SyncPolicy::OnClose);
}

#[test]
fn fault_at_any_operation_loses_and_repeats_no_record_with_the_policy_always() {
    try_all(SyncPolicy::Always);
}

#[test]
fn file_system_without_locks_is_an_error_of_its_own_and_leaves_no_file() {
    struct WithoutLocks;
    impl Hook for WithoutLocks {
        fn before(&self, op: Op, _: &Path) -> io::Result<()> {
            // ENOLCK on Linux. The number does not matter.
            if op == Op::Lock { Err(io::Error::from_raw_os_error(37)) } else { Ok(()) }
        }
    }
    let root = TemporaryFolder::new();
    let spool =
        Setup { hook: Some(Arc::new(WithoutLocks)), ..Setup::default() }.open(&root).unwrap();
    let appended = spool.writer().append(&["record"], NOW).map_err(|it| it.error);
    let errors = [spool.put(b"record", NOW).err(), appended.err(), spool.drain(NOW).err()];
    assert!(errors.iter().all(|it| matches!(it, Some(crate::Error::LocksUnsupported(_)))));
    assert_eq!(files(&root), [""; 0]);
    assert_eq!(spool.stats().written, 0);
}

#[test]
fn writer_reports_the_whole_records_of_a_short_write_and_takes_a_new_file() {
    let root = TemporaryFolder::new();
    /// The second write, of three records of 27 bytes, writes two and a part.
    struct Short(AtomicUsize);
    impl Hook for Short {
        fn before(&self, _: Op, _: &Path) -> io::Result<()> {
            Ok(())
        }
        fn shorten(&self, len: usize) -> usize {
            if self.0.fetch_add(1, Ordering::Relaxed) == 1 { 60 } else { len }
        }
    }
    let hook: Arc<dyn Hook> = Arc::new(Short(AtomicUsize::new(0)));
    let spool = Setup { hook: Some(hook), ..Setup::default() }.open(&root).unwrap();
    let mut writer = spool.writer();
    assert_eq!(writer.append(&["one"], NOW).unwrap(), 1..2);
    let error = writer.append(&["two", "thr", "fou"], NOW).unwrap_err();
    assert_eq!(error.written, 2..4);
    assert_eq!(writer.append(&["fou"], NOW).unwrap(), 4..5);
    assert_eq!(files(&root).len(), 2);
    assert_eq!(writer.pending(), 4);
    drop(writer);
    let mut drain = spool.drain(NOW).unwrap().unwrap();
    assert_eq!(drain.read(9).unwrap(), [b"one", b"two", b"thr", b"fou"]);
}

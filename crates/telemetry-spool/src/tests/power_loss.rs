//! The disk loses what was not synchronized.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{Hook, LATER, Ledger, NOW, Setup, TemporaryFolder};
use crate::{SyncPolicy, disk::Op};

/// State that is on the disk for certain.
#[derive(Clone, Default)]
struct Durable {
    names: BTreeMap<String, u64>,
    contents: BTreeMap<u64, Vec<u8>>,
}

/// Remembers after each operation what would be left of the folder.
struct ModelDisk {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    durable: Durable,
    /// For each operation: what is durable, and what the system would show.
    history: Vec<(Durable, Durable)>,
}

fn current(folder: &Path) -> Durable {
    let mut current = Durable::default();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let inode = entry.metadata().unwrap().ino();
        current.names.insert(entry.file_name().into_string().unwrap(), inode);
        current.contents.insert(inode, fs::read(entry.path()).unwrap());
    }
    current
}

impl Hook for ModelDisk {
    fn before(&self, _: Op, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn after(&self, op: Op, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let current = current(&self.folder);
        match op {
            Op::Sync => {
                let inode = fs::metadata(path)?.ino();
                state.durable.contents.insert(inode, fs::read(path)?);
            }
            Op::SyncFolder if path == self.folder => state.durable.names = current.names.clone(),
            _ => {}
        }
        let durable = state.durable.clone();
        state.history.push((durable, current));
        Ok(())
    }
}

/// The folder after the power loss: names and contents may be old or new, and new contents may be zeros.
fn remains(durable: &Durable, current: &Durable) -> Vec<BTreeMap<String, Vec<u8>>> {
    let mut remains = Vec::new();
    for names in [&durable.names, &current.names] {
        for kind in 0..3 {
            let content = |inode: &u64| {
                let old = durable.contents.get(inode).cloned().unwrap_or_default();
                let new = current.contents.get(inode).unwrap_or(&old);
                match kind {
                    0 => old,
                    1 => old.iter().copied().chain(new.iter().skip(old.len()).map(|_| 0)).collect(),
                    _ => new.clone(),
                }
            };
            remains.push(names.iter().map(|(name, it)| (name.clone(), content(it))).collect());
        }
    }
    remains
}

/// Calls `check` for each state after a power loss with the records that are reported and not acknowledged, with those
/// that are recovered, and with whether the writer is closed.
fn run(sync: SyncPolicy, check: impl Fn(&BTreeSet<String>, &BTreeSet<String>, bool)) {
    let root = TemporaryFolder::new();
    let folder = root.join("v1/test");
    let disk = Arc::new(ModelDisk { folder: folder.clone(), state: Mutex::default() });
    let hook: Arc<dyn Hook> = Arc::<ModelDisk>::clone(&disk);
    let spool = Setup { hook: Some(hook), sync, ..Setup::default() }.open(&root).unwrap();
    let mut ledger = Ledger::default();
    let mut reported = Vec::new();
    let mut note = |ledger: &Ledger| {
        let count = disk.state.lock().unwrap().history.len();
        let held: BTreeSet<_> = ledger.durable.iter().cloned().collect();
        let acknowledged: BTreeSet<_> = ledger.acknowledged.iter().cloned().collect();
        reported.push((count, held.difference(&acknowledged).cloned().collect::<BTreeSet<_>>()));
    };
    note(&ledger);
    ledger.put(&spool, "put");
    note(&ledger);
    let mut writer = spool.writer();
    for batch in [&["a", "b"][..], &["c"]] {
        let batch: Vec<_> = batch.iter().map(|it| (*it).to_owned()).collect();
        ledger.append(&mut writer, &batch);
        note(&ledger);
    }
    // What is acknowledged may appear again: removal is not synchronized.
    ledger.acknowledge(vec!["a".into()], &writer.acknowledge(1));
    note(&ledger);
    writer.close().unwrap();
    note(&ledger);
    let history = std::mem::take(&mut disk.state.lock().unwrap().history);
    let is_closed = history.len();
    for (at, (durable, current)) in (1..).zip(&history) {
        let before = reported.iter().rev().find(|(count, _)| *count <= at);
        let held = before.map(|(_, held)| held.clone()).unwrap_or_default();
        for (case, files) in (0..).zip(remains(durable, current)) {
            let root = root.join(format!("{at}-{case}"));
            let spool = Setup::default().open(&root).unwrap();
            for (name, content) in files {
                fs::write(root.join("v1/test").join(name), content).unwrap();
            }
            let mut after = Ledger::default();
            after.drain(&spool, LATER);
            let recovered: BTreeSet<_> = after.acknowledged.iter().cloned().collect();
            assert_eq!(recovered.len(), after.acknowledged.len(), "twice");
            assert!(recovered.is_subset(&ledger.submitted), "{recovered:?}");
            assert_eq!(super::files(&root), [""; 0]);
            check(&held, &recovered, at == is_closed);
        }
    }
    assert!(history.len() > 20);
    assert!(spool.drain(NOW).unwrap().is_some());
}

#[test]
fn spool_recovers_from_a_power_loss_whatever_the_disk_has_lost() {
    run(SyncPolicy::Never, |_, _, _| {});
}

#[test]
fn power_loss_costs_no_record_that_was_reported_with_the_policy_always() {
    run(SyncPolicy::Always, |held, recovered, _| {
        assert!(held.is_subset(recovered), "{held:?} {recovered:?}");
    });
}

#[test]
fn power_loss_after_close_costs_no_record_with_the_policy_on_close() {
    run(SyncPolicy::OnClose, |held, recovered, is_closed| {
        assert!(!is_closed || held.is_subset(recovered), "{held:?} {recovered:?}");
    });
}

//! At each file operation of one process, another one runs from start to end.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use super::{Hook, LATER, Ledger, Mutant, NOW, Setup, TemporaryFolder, files};
use crate::{Spool, disk::Op};

type Action = Box<dyn FnOnce() + Send>;

/// Calls a function before the operation with number `at`.
struct Interruption {
    at: usize,
    state: Mutex<(usize, Option<Action>)>,
}

impl Hook for Interruption {
    fn before(&self, _: Op, _: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let is_at = state.0 == self.at;
        state.0 += 1;
        if is_at && let Some(action) = state.1.take() {
            drop(state);
            action();
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Process {
    Put,
    Write,
    Drain,
    /// Makes room for its own record.
    Overflow,
}

const ALL: [Process; 4] = [Process::Put, Process::Write, Process::Drain, Process::Overflow];

impl Process {
    fn run(self, spool: &Spool, name: &str, ledger: &mut Ledger) {
        match self {
            Self::Put => ledger.put(spool, &format!("{name}-put")),
            Self::Write => {
                let mut writer = spool.writer();
                for (n, count) in [(1, 3), (2, 1)] {
                    let names: Vec<_> =
                        (0..count).map(|it| format!("{name}-write-{n}-{it}")).collect();
                    let written = ledger.append(&mut writer, &names);
                    if n == 1 {
                        let acknowledged = writer.acknowledge(written.len() as u64);
                        ledger.acknowledge(written, &acknowledged);
                    }
                }
                let written = ledger.append(&mut writer, &[format!("{name}-write-last")]);
                assert!(written.len() <= 1);
            }
            Self::Drain => ledger.drain(spool, LATER),
            Self::Overflow => {
                // The chance of a check depends on the length.
                let record = format!("{name}-{}", "x".repeat(300_000));
                ledger.put(spool, &record);
            }
        }
    }
}

/// Runs `inner` before operation `at` of `outer`. Returns `None` if there is no such operation.
fn interleave(
    outer: Process,
    inner: Process,
    at: usize,
    mutant: Option<Mutant>,
) -> Option<Result<(), String>> {
    let root = TemporaryFolder::new();
    // Room for what all of them hold, unless they are to make room.
    let max_files = |it| matches!(it, Process::Overflow).then_some(2);
    let other =
        Setup { mutant, max_files: max_files(inner), ..Setup::default() }.open(&root).unwrap();
    let mut ledgers = [Ledger::default(), Ledger::default()];
    for record in ["left-1", "left-2", "left-3"] {
        ledgers[0].put(&other, record);
    }
    let shared = Arc::new(Mutex::new(Ledger::default()));
    let action: Action = {
        let (other, shared) = (other.clone(), Arc::clone(&shared));
        Box::new(move || inner.run(&other, "inner", &mut shared.lock().unwrap()))
    };
    let interruption = Arc::new(Interruption { at, state: Mutex::new((0, Some(action))) });
    let hook: Arc<dyn Hook> = Arc::<Interruption>::clone(&interruption);
    let setup = Setup { hook: Some(hook), mutant, max_files: max_files(outer), ..Setup::default() };
    let spool = setup.open(&root).unwrap();
    outer.run(&spool, "outer", &mut ledgers[0]);
    if interruption.state.lock().unwrap().1.is_some() {
        return None;
    }
    ledgers[1] = std::mem::take(&mut *shared.lock().unwrap());

    let last = Setup::default().open(&root).unwrap();
    let [mut ledger, inner] = ledgers;
    ledger.submitted.extend(inner.submitted);
    ledger.durable.extend(inner.durable);
    ledger.acknowledged.extend(inner.acknowledged);
    ledger.unacknowledged.extend(inner.unacknowledged);
    ledger.drain(&last, LATER);
    let stats = [spool.stats(), other.stats(), last.stats()];
    let expired: u64 = stats.iter().map(|it| it.expired).sum();
    let damaged: u64 = stats.iter().map(|it| it.damaged).sum();
    let lost: Vec<_> =
        ledger.durable.iter().filter(|it| !ledger.acknowledged.contains(it)).cloned().collect();
    if lost.len() as u64 != expired || damaged > 0 {
        return Some(Err(format!(
            "expired {expired}, damaged {damaged}, but lost: {}",
            lost.len()
        )));
    }
    ledger.acknowledged.extend(lost);
    let left = files(&root);
    if !left.is_empty() {
        return Some(Err(format!("left: {left:?}")));
    }
    Some(ledger.problem().map_or(Ok(()), Err))
}

#[test]
fn process_at_any_operation_of_another_loses_and_repeats_no_record() {
    for outer in ALL {
        for inner in ALL {
            let mut count = 0;
            while let Some(result) = interleave(outer, inner, count, None) {
                assert_eq!(result, Ok(()), "{inner:?} at operation {count} of {outer:?}");
                count += 1;
            }
            assert!(count > 10, "{outer:?} {inner:?}");
        }
    }
}

#[test]
fn protocol_without_one_of_its_steps_is_found() {
    for (mutant, outer, inner) in [
        (Mutant::TemporaryName, Process::Write, Process::Drain),
        (Mutant::WriterLock, Process::Write, Process::Drain),
        (Mutant::DrainLock, Process::Drain, Process::Drain),
    ] {
        let results = (0..).map_while(|at| interleave(outer, inner, at, Some(mutant)));
        let problems = results.filter(Result::is_err).count();
        assert!(problems > 0, "{mutant:?}");
    }
}

#[test]
fn drain_that_finds_another_at_work_leaves_its_files_to_that_one() {
    let root = TemporaryFolder::new();
    let spool = Setup::default().open(&root).unwrap();
    let first = spool.drain(NOW).unwrap().unwrap();
    spool.put(b"late", NOW).unwrap();
    assert!(spool.drain(NOW).unwrap().is_none());
    assert!(first.close().unwrap(), "a file has appeared");
    let mut second = spool.drain(NOW).unwrap().unwrap();
    assert_eq!(second.read(9).unwrap(), [b"late"]);
    assert!(!second.close().unwrap());
}

/// Calls a function before the second time that the folder is listed.
struct SecondList(Mutex<(usize, Option<Action>)>);

impl Hook for SecondList {
    fn before(&self, op: Op, _: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.0 += usize::from(matches!(op, Op::List));
        if state.0 == 2
            && let Some(action) = state.1.take()
        {
            action();
        }
        Ok(())
    }
}

#[test]
fn files_that_another_process_is_about_to_remove_do_not_fill_the_spool() {
    let root = TemporaryFolder::new();
    let other = Setup::default().open(&root).unwrap();
    let mut ledger = Ledger::default();
    (0..10).for_each(|n| ledger.put(&other, &n.to_string()));
    let mut drain = other.drain(NOW).unwrap().unwrap();
    assert_eq!(drain.read(10).unwrap().len(), 10);
    let remove: Action = Box::new(move || drain.acknowledge(10).unwrap());
    let hook: Arc<dyn Hook> = Arc::new(SecondList(Mutex::new((0, Some(remove)))));
    let setup = Setup { hook: Some(hook), max_files: Some(5), ..Setup::default() };
    // At this length, there is a check.
    setup.open(&root).unwrap().put(&[b'x'; 300_000], NOW).unwrap();
    assert_eq!(files(&root).len(), 1);
}

//! The lifecycle matrix of `tests/src/lifecycle.rs`: each case in a process of its own.

mod watchdog;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use telemetry_collector::Answer;
use telemetry_tests::{
    evidence::{self, scale},
    lifecycle::{Case, Delivers, cases},
};

use self::watchdog::Ended;
use crate::blocking::{AMPLE, collector};

/// How many cases run at the same time.
const AT_ONCE: usize = 4;

/// Of the tests here, one at a time: the calls of a forked child are timed.
static MACHINE: Mutex<()> = Mutex::new(());

/// What the processes of a claim's cases have said on their standard output.
struct Tried {
    cases: usize,
    said: Vec<String>,
}

impl Tried {
    /// The numbers before `unit`, in all that was said.
    fn numbers(&self, unit: &str) -> Vec<u64> {
        let mut numbers = Vec::new();
        for part in self.said.iter().flat_map(|line| line.split(", ")) {
            let number = part.strip_suffix(unit).and_then(|part| part.split(' ').next_back());
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers
    }
}

#[test]
fn no_setting_hangs_panics_or_leaves_anything_behind() {
    let tried = run_all("R15");
    let (cases, lived) = (tried.cases, tried.numbers(" clients").iter().sum::<u64>());
    let gained = tried.numbers(" KiB").into_iter().max().unwrap_or_default();
    evidence::tried(
        "R15",
        format_args!(
            "{cases} processes; {lived} clients in a row left no thread and no descriptor, and at \
             most {gained} KiB"
        ),
    );
}

#[cfg(unix)]
#[test]
fn a_forked_child_is_held_up_by_nothing_and_sends_nothing() {
    let tried = run_all("R12");
    let calls = tried.numbers(" calls");
    let longest = tried.numbers(" us").into_iter().max().expect("calls were timed");
    evidence::tried(
        "R12",
        format_args!(
            "{} calls in {} forked children of {} processes; the longest took {} us",
            calls.iter().sum::<u64>(),
            calls.len(),
            tried.cases,
            longest
        ),
    );
}

#[test]
fn each_case_has_a_name_of_its_own() {
    let mut names: Vec<_> = cases().iter().map(|case| case.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// Runs the cases of a claim, and fails with all that is wrong.
fn run_all(claim: &str) -> Tried {
    let _machine = MACHINE.lock().unwrap_or_else(|error| error.into_inner());
    let of_claim = |_| cases().into_iter().filter(|case| case.claim == claim);
    let cases: Vec<_> = (0..scale(1, 3)).flat_map(of_claim).collect();
    let (next, ends) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ended = run(case);
                    ends.lock().expect("nobody panics with it").push(ended);
                }
            });
        }
    });
    let ends = ends.into_inner().expect("nobody panics with it");
    let (said, faults): (Vec<_>, Vec<_>) = ends.into_iter().partition(Result::is_ok);
    let faults: Vec<_> = faults.into_iter().filter_map(Result::err).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
    let said: Vec<String> = said.into_iter().flatten().collect();
    let said = said.iter().flat_map(|said| said.lines().map(str::to_owned)).collect();
    Tried { cases: cases.len(), said }
}

/// Runs a case against a collector of its own; returns what it has said, or what is wrong.
fn run(case: &Case) -> Result<String, String> {
    let collector = collector();
    if case.is_silent {
        collector.script(vec![Answer::never(); 100]);
    }
    let Ended { ends, output, errors } = watchdog::watch(case.name, collector.url())?;
    let said = format!("{output}{errors}");
    let wrong = |what: String| Err(format!("{}: {what}\n{said}", case.name));
    if ends != Some(case.ends) {
        return wrong(format!("ended with {ends:?}, not {:?}", case.ends));
    }
    let is_expected = case.says.map_or(errors.is_empty(), |message| errors.contains(message));
    if !is_expected {
        return wrong(format!("expected it to say {:?}", case.says));
    }
    if let Delivers::Exactly(count) = case.delivers {
        // A daemon delivers after its start has ended.
        collector.wait_for(AMPLE, |totals| totals.accepted >= count);
    }
    let totals = collector.stop();
    if totals.duplicates + totals.rejected > 0 {
        return wrong(format!("{totals:?}"));
    }
    match case.delivers {
        Delivers::Exactly(count) if totals.accepted != count => {
            wrong(format!("{} events arrived, not {count}", totals.accepted))
        }
        _ => Ok(output),
    }
}

//! Section `hand-over`: what an application pays to get rid of an event.

pub mod case;
mod instructions;
mod timing;

use std::{env, process::Command};

pub use self::instructions::child;
use self::{
    case::{Case, Work},
    timing::Timing,
};
use crate::{
    Failure,
    figure::Figure,
    for_each_subject,
    rounds::{Rounds, order},
    subjects::{Clock, Sample, Subject, samples},
};

type Measure = fn(&Case, &'static [Sample]) -> Result<Timing, String>;

/// Measures all cases, and hands out the figures of each when it is done.
///
/// Besides itself it runs the program `allocations`, which lies beside it: a program that is timed has
/// no allocator that counts.
///
/// # Errors
///
/// A client does not do what it is meant to, such as evict or refuse; or what `allocations` says.
pub fn run(mut print: impl FnMut(Figure) -> Result<(), Failure>) -> Result<(), Failure> {
    let samples = samples()?;
    for case in Case::all() {
        eprintln!("hand-over: {case}");
        for figure in timed(&case, samples)? {
            print(figure)?;
        }
    }
    eprintln!("hand-over: allocations");
    for figure in allocations()? {
        print(figure)?;
    }
    instructions(print)
}

/// Counts the instructions of a call, the one figure that a busy machine does not change. Where the
/// system does not let a process be traced, there are no figures, and a line on stderr says so.
///
/// # Errors
///
/// What `print` says.
pub fn instructions(print: impl FnMut(Figure) -> Result<(), Failure>) -> Result<(), Failure> {
    eprintln!("hand-over: instructions");
    match instructions::measure() {
        Ok(figures) => figures.into_iter().try_for_each(print),
        Err(error) => {
            eprintln!("instructions cannot be counted here: {error}");
            Ok(())
        }
    }
}

/// One round more than counts: the first one gets the memory.
fn timed(case: &Case, samples: &'static [Sample]) -> Result<Vec<Figure>, String> {
    let subjects: Vec<(&str, Measure)> = for_each_subject!(measure);
    let mut rounds = Rounds::new("hand-over", case.to_string());
    for round in 0..=case.rounds() {
        for (name, measure) in order(subjects.len(), round).map(|index| subjects[index]) {
            let timing = measure(case, samples).map_err(|it| format!("{case}: {name}: {it}"))?;
            if round == 0 {
                continue;
            }
            for (metric, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
                rounds.add(name, metric, "ns", timing.calls.percentile(share));
            }
            if name != Clock::NAME {
                rounds.add(name, "p50 of means", "ns", timing.p50_of_means);
                rounds.add(name, "mean", "ns", timing.mean);
            }
            if case.counts_stalls() {
                rounds.add(name, "stalls", "per million", timing.calls.stalls());
            }
        }
    }
    Ok(rounds.into_figures())
}

fn measure<S: Subject>(case: &Case, samples: &'static [Sample]) -> Result<Timing, String> {
    match case.work {
        Work::Prebuilt => timing::prebuilt::<S>(case, samples),
        Work::BuildAndTrack => timing::build_and_track::<S>(case, samples),
    }
}

fn allocations() -> Result<Vec<Figure>, Failure> {
    let program = env::current_exe()?.with_file_name("allocations");
    let output = Command::new(&program).output();
    let output = output.map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{}: {said}", program.display()).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

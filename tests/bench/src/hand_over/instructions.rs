//! How many instructions a call takes on its thread.
//!
//! Counted in a child process that goes in single steps: the same on each machine with the same
//! processor, however busy it is. A system call counts as one.

use std::{env, process::Command};

use super::case::{Case, Work};
use crate::{
    figure::{Figure, median},
    for_each_subject,
    rounds::Rounds,
    subjects::{Clock, Producer, Sample, Subject, samples},
};

const WARM_UP: usize = 1_000;
// A step takes ten microseconds or more.
const CALLS: usize = 11;

/// Counts for each subject, each work, one thread. The one round is the median of [`CALLS`] calls.
pub(super) fn measure() -> Result<Vec<Figure>, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut figures = Vec::new();
    for case in Case::works() {
        let mut rounds = Rounds::new("hand-over", case.to_string());
        let subjects: Vec<(&str, Child)> = for_each_subject!(calls);
        for (name, _) in subjects.iter().filter(|(name, _)| *name != Clock::NAME) {
            let mut child = Command::new(&program);
            let counts = telemetry_steps::count(child.args([
                "instructions-child",
                name,
                &case.to_string(),
            ]))?;
            if counts.len() != CALLS {
                return Err(format!("{name}: {} calls were counted", counts.len()));
            }
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let counts: Vec<_> = counts.into_iter().map(|count| count as f64).collect();
            rounds.add(name, "instructions", "", median(&counts));
        }
        figures.append(&mut rounds.into_figures());
    }
    Ok(figures)
}

type Child = fn(&Case, &'static [Sample]) -> Result<(), String>;

/// The program whose instructions are counted.
///
/// # Errors
///
/// There is no such subject or case, or what the client says.
pub fn child(subject: &str, case: &str) -> Result<(), String> {
    let subjects: Vec<(&str, Child)> = for_each_subject!(calls);
    let known = subjects.iter().find(|(name, _)| *name == subject);
    let (_, calls) = known.ok_or_else(|| format!("no such subject: {subject}"))?;
    let case = Case::named(case).ok_or_else(|| format!("no such case: {case}"))?;
    calls(&case, samples()?)
}

fn calls<S: Subject>(case: &Case, samples: &'static [Sample]) -> Result<(), String> {
    telemetry_steps::begin()?;
    let subject = S::start(case.room(WARM_UP + CALLS), samples)?;
    let mut producer = subject.producer();
    for (index, sample) in samples.iter().cycle().take(WARM_UP + CALLS).enumerate() {
        match (case.work, index < WARM_UP) {
            (Work::Prebuilt, true) => {
                let item = producer.build(sample);
                producer.hand_over(item);
            }
            (Work::Prebuilt, false) => {
                let item = producer.build(sample);
                telemetry_steps::region(|| producer.hand_over(item))?;
            }
            (Work::BuildAndTrack, true) => producer.build_and_hand_over(sample),
            (Work::BuildAndTrack, false) => {
                telemetry_steps::region(|| producer.build_and_hand_over(sample))?;
            }
        }
    }
    drop(producer);
    subject.finish((WARM_UP + CALLS) as u64).map(drop)
}

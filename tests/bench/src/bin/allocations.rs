//! Counts what a hand-over allocates on the calling thread, and prints figures, a line of JSON each.

use std::io;

use allocation_counter::{AllocationInfo, measure};
use telemetry_bench::{
    Failure, for_each_subject,
    hand_over::case::{Case, Work},
    rounds::Rounds,
    subjects::{Clock, Producer, Sample, Subject, samples},
};

const WARM_UP: usize = 1_000;
const CALLS: usize = 10_000;

type Count = fn(&Case, &'static [Sample]) -> Result<AllocationInfo, String>;

fn main() -> Result<(), Failure> {
    let samples = samples()?;
    for case in Case::works() {
        let mut rounds = Rounds::new("hand-over", case.to_string());
        let subjects: Vec<(&str, Count)> = for_each_subject!(count);
        for (name, count) in subjects.into_iter().filter(|(name, _)| *name != Clock::NAME) {
            let total = count(&case, samples).map_err(|it| format!("{case}: {name}: {it}"))?;
            rounds.add(name, "allocations", "", per_call(total.count_total));
            rounds.add(name, "allocated", "B", per_call(total.bytes_total));
        }
        for figure in rounds.into_figures() {
            figure.print(io::stdout())?;
        }
    }
    Ok(())
}

/// The sum over all calls.
fn count<S: Subject>(case: &Case, samples: &'static [Sample]) -> Result<AllocationInfo, String> {
    let subject = S::start(case.room(WARM_UP + CALLS), samples)?;
    let mut producer = subject.producer();
    let mut total = AllocationInfo::default();
    for (index, sample) in samples.iter().cycle().take(WARM_UP + CALLS).enumerate() {
        let cost = match case.work {
            Work::Prebuilt => {
                let item = producer.build(sample);
                measure(|| producer.hand_over(item))
            }
            Work::BuildAndTrack => measure(|| producer.build_and_hand_over(sample)),
        };
        if index >= WARM_UP {
            total += cost;
        }
    }
    drop(producer);
    subject.finish((WARM_UP + CALLS) as u64)?;
    Ok(total)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_call(total: u64) -> f64 {
    total as f64 / CALLS as f64
}

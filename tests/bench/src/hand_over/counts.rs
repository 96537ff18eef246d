//! Allocations and instructions of a call on its thread.
//!
//! Instructions are counted in a child process that runs in single steps: the count is the same under
//! any load. A system call counts as one.

use std::{env, io, process::Command};

use super::{CONTENDERS, Case, Samples};
use crate::{
    Result,
    clients::{Clock, Contender, Producer, Running},
    events::samples,
    figures::{Figures, median},
};

// A step takes 10 µs or more, so few calls are counted. With these, the number of calls is a multiple
// of 100: sentry's last log is in a full envelope.
const STEPPED: Calls = Calls { warm_up: 989, counted: 11 };
const ALLOCATING: Calls = Calls { warm_up: 1_000, counted: 10_000 };

#[derive(Clone, Copy)]
struct Calls {
    warm_up: usize,
    counted: usize,
}

/// Calls a closure, and returns its allocations on this thread.
pub type Allocator = fn(&mut dyn FnMut()) -> Allocated;

/// The number and the bytes of allocations.
pub type Allocated = (u64, u64);

/// Counts the instructions for each contender: the median of the calls.
pub(super) fn instructions() -> Result<Figures> {
    let program = env::current_exe()?;
    let mut figures = Figures::default();
    for case in Case::of_one_thread().map(|case| case.to_string()) {
        for name in CONTENDERS.map(|it| it.name).into_iter().filter(|name| *name != Clock::NAME) {
            let mut child = Command::new(&program);
            let counts = telemetry_steps::count(child.args(["step-child", name, &case]))?;
            if counts.len() != STEPPED.counted {
                return Err(format!("{name}: {} calls were counted", counts.len()).into());
            }
            let counts: Vec<_> = counts.into_iter().map(|count| count as f64).collect();
            figures.add(&case, name, "instructions", median(&counts));
        }
    }
    Ok(figures)
}

/// The child process whose instructions are counted.
pub(crate) fn step_child(contender: &str, case: &str) -> Result<()> {
    telemetry_steps::begin()?;
    let entry = CONTENDERS.iter().find(|it| it.name == contender).ok_or("unknown contender")?;
    let case = Case::of_one_thread().find(|it| it.to_string() == case).ok_or("unknown case")?;
    (entry.step)(case, samples()?)
}

pub(super) fn step<C: Contender>(case: Case, samples: Samples) -> Result<()> {
    struct Steps;
    impl Counter for Steps {
        fn count(&mut self, call: impl FnOnce()) -> Result<()> {
            Ok(telemetry_steps::region(call)?)
        }
    }
    count::<C>(case, samples, STEPPED, &mut Steps)
}

/// Runs the program `allocations`.
pub(super) fn allocations() -> Result<Figures> {
    let program = env::current_exe()?.with_file_name("allocations");
    let output = Command::new(&program).output();
    let output = output.map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("allocations: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The program `allocations`: prints the figures as JSON.
///
/// # Errors
///
/// Fails if a client cannot be measured.
pub fn print_allocations(allocator: Allocator) -> Result<()> {
    let samples = samples()?;
    let mut figures = Figures::default();
    for case in Case::of_one_thread() {
        for entry in CONTENDERS.iter().filter(|it| it.name != Clock::NAME) {
            let (allocations, bytes) = (entry.allocate)(case, samples, allocator)
                .map_err(|error| format!("{case}: {}: {error}", entry.name))?;
            let mut add = |metric, total: u64| {
                let per_call = total as f64 / ALLOCATING.counted as f64;
                figures.add(&case.to_string(), entry.name, metric, per_call);
            };
            add("allocations", allocations);
            add("allocated, B", bytes);
        }
    }
    Ok(serde_json::to_writer(io::stdout(), &figures)?)
}

/// Returns the sums over all calls.
pub(super) fn allocate<C: Contender>(
    case: Case,
    samples: Samples,
    allocator: Allocator,
) -> Result<Allocated> {
    struct Total(Allocator, u64, u64);
    impl Counter for Total {
        fn count(&mut self, call: impl FnOnce()) -> Result<()> {
            let mut call = Some(call);
            let (allocations, bytes) = self.0(&mut || call.take().into_iter().for_each(|it| it()));
            (self.1, self.2) = (self.1 + allocations, self.2 + bytes);
            Ok(())
        }
    }
    let mut total = Total(allocator, 0, 0);
    count::<C>(case, samples, ALLOCATING, &mut total)?;
    Ok((total.1, total.2))
}

trait Counter {
    fn count(&mut self, call: impl FnOnce()) -> Result<()>;
}

fn count<C: Contender>(
    case: Case,
    samples: Samples,
    calls: Calls,
    counter: &mut impl Counter,
) -> Result<()> {
    let total = calls.warm_up + calls.counted;
    let running = Running::<C>::start(case.is_full, total, samples)?;
    let mut producer = running.producer();
    for (index, sample) in samples.iter().cycle().take(total).enumerate() {
        let is_counted = index >= calls.warm_up;
        match (case.builds, is_counted) {
            (true, true) => counter.count(|| producer.build_and_hand_over(sample))?,
            (true, false) => producer.build_and_hand_over(sample),
            (false, _) => {
                let item = producer.build(sample);
                if is_counted {
                    counter.count(|| producer.hand_over(item))?;
                } else {
                    producer.hand_over(item);
                }
            }
        }
    }
    drop(producer);
    running.finish(total)
}

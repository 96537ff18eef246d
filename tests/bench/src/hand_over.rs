//! Section `hand-over`: the cost of the call that reports an event.

mod counts;
mod timing;

use std::fmt;

pub(crate) use self::counts::step_child;
pub use self::counts::{Allocated, Allocator, print_allocations};
use self::timing::Timing;
use crate::{
    Result,
    clients::{
        Cadence, Clock, Contender, Deque, OpenTelemetry, PostHog, Sdk, Sentry, SentryLogs,
        TracingAppender,
    },
    events::{Sample, samples},
    figures::{Figures, order},
};

const CONTENDERS: [Entry; 10] = [
    Entry::of::<Sdk<false>>(),
    Entry::of::<Sdk<true>>(),
    Entry::of::<PostHog>(),
    Entry::of::<OpenTelemetry>(),
    Entry::of::<Sentry>(),
    Entry::of::<SentryLogs>(),
    Entry::of::<TracingAppender>(),
    Entry::of::<Cadence>(),
    Entry::of::<Deque>(),
    Entry::of::<Clock>(),
];

type Samples = &'static [Sample];

/// The measurements of a contender, compiled for it: nothing that is measured is a dynamic call.
struct Entry {
    name: &'static str,
    time: fn(Case, Samples) -> Result<Timing>,
    step: fn(Case, Samples) -> Result<()>,
    allocate: fn(Case, Samples, Allocator) -> Result<Allocated>,
}

impl Entry {
    const fn of<C: Contender>() -> Self {
        Self {
            name: C::NAME,
            time: timing::time::<C>,
            step: counts::step::<C>,
            allocate: counts::allocate::<C>,
        }
    }
}

pub(crate) fn measure() -> Result<Figures> {
    let samples = samples()?;
    let mut figures = Figures::default();
    for case in Case::all() {
        eprintln!("hand-over: {case}");
        time(case, samples, &mut figures)?;
    }
    eprintln!("hand-over: allocations");
    figures.append(counts::allocations()?);
    eprintln!("hand-over: instructions");
    match counts::instructions() {
        Ok(instructions) => figures.append(instructions),
        // Some systems do not let a process be traced.
        Err(error) => eprintln!("cannot count instructions: {error}"),
    }
    Ok(figures)
}

fn time(case: Case, samples: Samples, figures: &mut Figures) -> Result<()> {
    let name = case.to_string();
    // Round 0 does not count: the system has to map its memory first.
    for round in 0..=if case.threads == 1 { 7 } else { 5 } {
        for entry in order(CONTENDERS.len(), round).map(|index| &CONTENDERS[index]) {
            let timing = (entry.time)(case, samples)
                .map_err(|it| format!("{name}: {}: {it}", entry.name))?;
            if round == 0 {
                continue;
            }
            let mut add = |metric, value| figures.add(&name, entry.name, metric, value);
            add("p50, ns", timing.calls.percentile(0.5));
            add("p99, ns", timing.calls.percentile(0.99));
            add("p99.9, ns", timing.calls.percentile(0.999));
            if entry.name != Clock::NAME {
                add("p50 of means, ns", timing.p50_of_means);
                add("mean, ns", timing.mean);
            }
            if case.is_full && case.threads == 8 {
                add("stalls, per million", timing.calls.stalls());
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Case {
    /// A call makes its event; otherwise it hands over an existing one.
    builds: bool,
    is_full: bool,
    threads: usize,
}

impl Case {
    fn all() -> impl Iterator<Item = Self> {
        Self::of_one_thread().flat_map(|case| [1, 2, 4, 8].map(|threads| Self { threads, ..case }))
    }

    fn of_one_thread() -> impl Iterator<Item = Self> {
        let cases = [(false, false), (false, true), (true, false)];
        cases.into_iter().map(|(builds, is_full)| Self { builds, is_full, threads: 1 })
    }

    fn calls_per_thread(self) -> usize {
        match (self.is_full, self.threads) {
            (_, 1) => 20_000,
            // Stalls are rare.
            (true, 8) => 30_000,
            (_, threads) => 40_000 / threads,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = if self.builds { "build and track" } else { "prebuilt" };
        let room = if self.is_full { "full" } else { "roomy" };
        let plural = if self.threads == 1 { "" } else { "s" };
        write!(f, "{work}, {room}, {} thread{plural}", self.threads)
    }
}

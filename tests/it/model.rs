//! The core in virtual time, beside a model of it: whatever happens, they agree after each step.

mod answers;
mod books;
mod found;
mod retry_after;
mod schedule;
mod steps;
mod trace;
mod world;

use std::cell::RefCell;

use proptest::{
    prelude::*,
    test_runner::{RngSeed, TestCaseResult, TestError, TestRunner},
};
use telemetry_tests::evidence;
use uuid::Uuid;

use self::{
    steps::{Settings, Step},
    trace::Counts,
    world::World,
};

/// Tries so many cases; returns the seed that they came from. A case fails by a panic.
fn try_cases<S: Strategy>(
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> TestCaseResult,
) -> u64 {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => Uuid::new_v4().as_u64_pair().0,
    };
    let config = ProptestConfig { rng_seed: RngSeed::Fixed(seed), ..config };
    match TestRunner::new(config).run(strategy, test) {
        Ok(()) => seed,
        Err(TestError::Fail(reason, case)) => {
            panic!("{reason}\nPROPTEST_RNG_SEED={seed} repeats it; the smallest case:\n{case:?}")
        }
        Err(error) => panic!("{error}\nPROPTEST_RNG_SEED={seed} repeats it"),
    }
}

/// Takes the steps, and then ends well: with a last drain, or without.
fn run(settings: &Settings, steps: &[Step], closes: bool) -> Counts {
    let mut world = World::new(settings);
    steps.iter().for_each(|step| world.take(step));
    world.end(closes)
}

#[test]
fn whatever_happens_the_core_does_what_its_model_does() {
    let totals = RefCell::new(Counts::default());
    let strategy = (steps::settings(), steps::steps(), any::<bool>());
    let seed = try_cases(evidence::scale(100, 30_000), &strategy, |(settings, steps, closes)| {
        totals.borrow_mut().add(&run(&settings, &steps, closes));
        Ok(())
    });
    let it = totals.into_inner();
    evidence::tried(
        "R3",
        format_args!(
            "{} schedules of {} steps with {} panics: {} events, of them {} delivered, {} rejected, \
             {} evicted; seed {seed}",
            it.schedules, it.steps, it.panics, it.events, it.delivered, it.rejected, it.evicted
        ),
    );
    evidence::tried(
        "R4",
        format_args!(
            "{} requests with {} events, after {} failures, {} batches at fault, {} refusals and {} \
             evictions",
            it.requests, it.sent, it.failures, it.faults, it.refusals, it.evicted
        ),
    );
    evidence::tried(
        "R7",
        format_args!(
            "{} ambiguous answers, {} events sent again after one, and none after another",
            it.ambiguous, it.again
        ),
    );
    evidence::tried(
        "R8",
        format_args!(
            "{} pauses asked for, {} polls in them, {} last drains",
            it.pauses, it.polls_in_pauses, it.drains
        ),
    );
}

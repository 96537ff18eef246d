//! The submitter in virtual time, compared with a reference model: they agree after each step.

mod driver;
mod reference;
mod replies;
mod steps;

use proptest::{prelude::*, test_runner::TestRunner};
use telemetry_tests::long_tests;

use self::{
    driver::Driver,
    replies::Reply,
    steps::{Settings, Step},
};

/// Takes the steps, then drains the queue: by a shutdown, or without one.
fn run(settings: &Settings, steps: &[Step], closes: bool) {
    let mut driver = Driver::new(settings);
    steps.iter().for_each(|step| driver.take(step));
    driver.finish(closes);
}

#[test]
fn submitter_in_random_schedules_agrees_with_reference_model() {
    let cases = if long_tests() { 30_000 } else { 100 };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let strategy = (steps::settings(), steps::steps(), any::<bool>());
    let result = TestRunner::new(config).run(&strategy, |(settings, steps, closes)| {
        run(&settings, &steps, closes);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A small queue; everything else as by default.
fn small_queue() -> Settings {
    let config = telemetry_tests::config("https://example.com").max_queue_size(20).batch_size(5);
    Settings { config: config.build().expect("a valid configuration"), seed: 7 }
}

// Regressions that random schedules found.

#[test]
fn poll_with_request_in_flight_does_not_end_last_drain() {
    let steps = [
        Step::Track(6),
        Step::Close(250),
        Step::Poll,
        Step::Poll,
        Step::Reply(Reply::Status(503, Some(0))),
    ];
    run(&small_queue(), &steps, false);
}

#[test]
fn poll_with_request_in_flight_does_not_postpone_its_events() {
    let (poll, second) = (Step::Poll, Step::Advance(1_000));
    let steps = [Step::Track(5), poll.clone(), second, poll.clone(), Step::DropDelivery, poll];
    run(&small_queue(), &steps, false);
}

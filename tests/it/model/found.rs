//! What random schedules have found, step by step.

use super::{
    answers::{Answer, Wish},
    run,
    steps::{SECOND, Settings, Step},
};

/// A driver that is woken while a request is under way was told that all was done, since the
/// back-off that follows a delivery which is dropped would end after the deadline.
#[test]
fn a_poll_in_the_middle_of_the_last_drain_does_not_end_it() {
    let settings = Settings::default();
    let steps = [
        Step::Track(6),
        Step::Close(SECOND / 4),
        Step::Poll(None),
        Step::Poll(None),
        Step::Answer(Answer::Status(503, Wish::Seconds(0)), None),
    ];
    run(&settings, &steps, false);
}

/// It put the batch off by an interval.
#[test]
fn a_poll_while_a_request_is_under_way_does_not_put_its_events_off() {
    let settings = Settings::default();
    let steps = [
        Step::Track(5),
        Step::Poll(None),
        Step::Advance(SECOND),
        Step::Poll(None),
        Step::GiveUp,
        Step::Poll(None),
    ];
    run(&settings, &steps, false);
}

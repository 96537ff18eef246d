//! `Retry-After` of any origin, and clocks that jump.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;
use mosaicstack_telemetry::{Action, DeliveryOutcome, Start, TelemetryHandle};
use proptest::{collection::vec, prelude::*};
use telemetry_tests::{config, evidence, status, track};

use super::{
    answers::{Wish, wish},
    try_cases,
    world::start,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const INTERVAL: Duration = Duration::from_secs(300);

/// What a header says: something that is understood, or any bytes.
#[derive(Clone, Debug)]
enum Said {
    Wish(Wish),
    /// Values of `Retry-After` and of `Date`, as many as there are.
    Bytes(Vec<Vec<u8>>, Vec<Vec<u8>>),
}

fn said() -> impl Strategy<Value = Said> {
    let number = prop_oneof![
        any::<u128>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    let like_a_date = "(Mon|Sun|Foo)?,? ?[0-9]{1,2} (Jan|Feb|Dec|Bar) [0-9]{1,5} \
                       [0-9]{1,2}:[0-9]{2}:[0-9]{2} (GMT|UTC)?";
    let value = prop_oneof![
        vec(any::<u8>(), 0..40),
        number.prop_map(String::into_bytes),
        like_a_date.prop_map(String::into_bytes),
        Just(b"Fri, 31 Dec 9999 23:59:59 GMT".to_vec()),
        Just(b"Thu, 01 Jan 1970 00:00:00 GMT".to_vec()),
        Just(b"Sunday, 06-Nov-94 08:49:37 GMT".to_vec()),
    ];
    prop_oneof![
        wish().prop_map(Said::Wish),
        (vec(value.clone(), 0..3), vec(value, 0..2))
            .prop_map(|(asked, dates)| Said::Bytes(asked, dates)),
    ]
}

/// The calendar at the start: any that there is, also years before 1970 and after 9999.
fn wall() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        (0..220_000_000_000_u64).prop_map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        (0..1_000_000_000_u64).prop_map(|seconds| UNIX_EPOCH - Duration::from_secs(seconds)),
        Just(UNIX_EPOCH + Duration::from_secs(1 << 60)),
    ]
}

/// What a schedule asked for, and how often it was asked what to do meanwhile.
#[derive(Default)]
struct Tried {
    answers: u64,
    pauses: u64,
    polls: u64,
    years: u64,
}

#[test]
fn no_pause_is_broken_and_none_is_longer_than_it_may_be() {
    let tried = RefCell::new(Tried::default());
    let jump = prop_oneof![
        0..2_000_u64,
        0..7_200_000_u64,
        (0..5_000_u64).prop_map(|days| days * 24 * 3_600_000),
    ];
    let answers = vec((said(), jump), 1..12);
    let strategy = (wall(), any::<u64>(), 0..4_u32, answers);
    let seed =
        try_cases(evidence::scale(300, 100_000), &strategy, |(wall, seed, retries, answers)| {
            keeps_its_pauses(wall, seed, retries, &answers, &mut tried.borrow_mut());
            Ok(())
        });
    let Tried { answers, pauses, polls, years } = tried.into_inner();
    evidence::tried(
        "R8",
        format_args!(
            "{answers} answers with any `Retry-After`, {pauses} of them understood, {polls} polls in \
             between, on clocks that leapt by {years} years; seed {seed}"
        ),
    );
}

/// Answers each request with what is said; in between, the clock leaps.
fn keeps_its_pauses(
    wall: SystemTime,
    seed: u64,
    retries: u32,
    answers: &[(Said, u64)],
    tried: &mut Tried,
) {
    let config = config("https://example.com").max_retries(retries).build().expect("right");
    let mut now = Duration::ZERO;
    let from = Start { now: start(), wall, seed };
    let (handle, mut submitter) = TelemetryHandle::with_submitter(&config, from, || {});
    track(&handle, 1);
    submitter.flush(start());
    let mut quiet_until = Duration::ZERO;
    for (said, jump) in answers {
        let (request, delivery) = loop {
            match submitter.poll(start() + now) {
                Action::Send(request, delivery) => break (request, delivery),
                Action::Wait(until) => {
                    let until = until - start();
                    assert!(until > now, "a hot loop");
                    assert!(
                        until <= now + HOUR + HOUR / 10 + 45 * SECOND,
                        "too long: {:?}",
                        until - now
                    );
                    // A flush does not open a gate; it only ends what waits for the interval.
                    submitter.flush(start() + now);
                    tried.polls += 1;
                    if now < quiet_until {
                        let told = submitter.poll(start() + now);
                        assert!(matches!(told, Action::Wait(_)), "sent in the pause: {told:?}");
                    }
                    now = if now < quiet_until { quiet_until.min(until) } else { until };
                }
                Action::Done => panic!("nobody has closed"),
            }
        };
        assert!(now >= quiet_until, "sent {:?} too soon", quiet_until - now);
        drop(request);
        let mut response = status(429);
        // With parts of a second, which a date does not have.
        let wall_now = wall + now;
        let pause = match said {
            Said::Wish(wish) => {
                let Ok(since) = wall_now.duration_since(UNIX_EPOCH) else { continue };
                if since > Duration::from_secs(220_000_000_000) {
                    continue;
                }
                wish.write(&mut response, since);
                Some(wish.pause(since))
            }
            Said::Bytes(asked, dates) => {
                let mut write = |name: &'static str, values: &[Vec<u8>]| {
                    for value in values.iter().filter_map(|it| HeaderValue::from_bytes(it).ok()) {
                        response.headers_mut().append(name, value);
                    }
                };
                write("retry-after", asked);
                write("date", dates);
                None
            }
        };
        let verdict = submitter.complete(start() + now, delivery, Ok(response));
        let DeliveryOutcome::Retry { retry_after } = verdict else { panic!("{verdict:?}") };
        if let Some(pause) = pause {
            assert_eq!(retry_after, pause, "{said:?}");
        }
        tried.answers += 1;
        tried.pauses += u64::from(retry_after.is_some());
        quiet_until = now + retry_after.unwrap_or_default().min(HOUR);
        // Also to the middle of the pause, or far beyond it.
        now += Duration::from_millis(*jump);
        tried.years += jump / (365 * 24 * 3_600_000);
    }
    // Whatever was said, it is over an hour, a tenth of it and an interval later.
    now = now.max(quiet_until) + HOUR / 10 + INTERVAL + 45 * SECOND;
    let Action::Send(_, delivery) = submitter.poll(start() + now) else { panic!("it waits on") };
    submitter.complete(start() + now, delivery, Ok(status(200)));
    assert_eq!(handle.stats().delivered, 1);
}

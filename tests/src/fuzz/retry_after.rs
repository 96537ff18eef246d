//! `Retry-After` and `Date`.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, header};
use mosaicstack_telemetry::{
    sans_io::{Action, DeliveryOutcome, Start, Submitter},
    transport::Response,
};

use super::LONGEST;
use crate::{config, simulation::now, status};

/// Upper bound of the random part of the first wait: one and a half of the first back-off.
const SPREAD: Duration = Duration::from_millis(750);

/// The input is `Retry-After`, `Date`, and the seconds of the client's wall clock: a line each.
pub(super) fn check(input: &[u8]) {
    let mut lines = input.split(|&byte| byte == b'\n');
    let value = lines.next().unwrap_or_default();
    let date = lines.next();
    let seconds = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.parse::<u32>().ok());
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unwrap_or(784_111_717).into());

    let asked = asked(value, date, wall);
    check_number(value, asked);
    // A number is a duration, and so is the difference of the server's two dates.
    let is_measured = is_number(value) || date.is_some_and(|date| is_date(date, wall));
    if is_measured {
        let later = wall + Duration::from_secs(86_400);
        assert_eq!(
            self::asked(value, date, later),
            asked,
            "the client's wall clock does not count"
        );
    }
}

/// The `Retry-After` that the client reads from the answer. Panics unless the client then keeps it.
fn asked(value: &[u8], date: Option<&[u8]>, wall: SystemTime) -> Option<Duration> {
    let config = config("https://example.com").build().expect("a configuration");
    let now = now();
    let start = Start { now, seed: value.len() as u64 };
    let (mut submitter, handle) = Submitter::new(&config, start, || ());
    handle.track(handle.event().build());
    submitter.flush(now);
    let Action::Send(_, delivery) = submitter.poll(now) else { panic!("nothing is sent") };
    let outcome = submitter.complete(now, wall, delivery, Ok(busy(value, date)));
    let DeliveryOutcome::Retry { retry_after } = outcome else { panic!("{outcome:?}") };

    let Action::Wait(until) = submitter.poll(now) else { panic!("it is sent again at once") };
    let (wait, asked) = (until - now, retry_after.unwrap_or_default().min(LONGEST));
    assert!(wait >= asked, "{wait:?} instead of {asked:?}");
    assert!(wait <= asked + SPREAD.max(asked / 10), "{wait:?} instead of {asked:?}");
    // A flush does not shorten the wait.
    submitter.flush(now);
    let almost = now + asked.saturating_sub(Duration::from_nanos(1));
    if !asked.is_zero() {
        assert!(matches!(submitter.poll(almost), Action::Wait(_)), "sent too early");
    }
    assert!(matches!(submitter.poll(until), Action::Send(..)), "never sent again");
    retry_after
}

fn busy(value: &[u8], date: Option<&[u8]>) -> Response {
    let mut response = status(503);
    for (name, value) in [(header::RETRY_AFTER, Some(value)), (header::DATE, date)] {
        if let Some(Ok(value)) = value.map(HeaderValue::from_bytes) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Panics unless a number is read as seconds, and a text that begins like no date as nothing.
fn check_number(value: &[u8], asked: Option<Duration>) {
    let text = String::from_utf8_lossy(value);
    let text = text.trim();
    if is_number(value) {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = whole.trim_start_matches('0');
        // Longer numbers saturate.
        let seconds = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
        let seconds = seconds.saturating_add(fraction.contains(|c| c != '0').into());
        assert_eq!(asked, Some(Duration::from_secs(seconds)), "{text}");
    } else if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        assert_eq!(asked, None, "{text}");
    }
}

fn is_number(value: &[u8]) -> bool {
    let text = value.trim_ascii();
    HeaderValue::from_bytes(value).is_ok()
        && text.iter().any(u8::is_ascii_digit)
        && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && text.iter().filter(|byte| **byte == b'.').count() <= 1
}

/// True if the client can read the date: as a `Retry-After`, it makes the client wait.
fn is_date(date: &[u8], wall: SystemTime) -> bool {
    !is_number(date) && asked(date, None, wall).is_some()
}

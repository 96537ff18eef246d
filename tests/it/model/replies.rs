//! Random results of requests, and their documented meaning.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue};
use mosaicstack_telemetry::{
    sans_io::DeliveryOutcome,
    transport::{Response, TransportError},
};
use proptest::{option, prelude::*, sample::select};
use serde_json::json;
use telemetry_tests::status;

#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A status of success, and the `rejected` of its receipt.
    Accepted(u16, Option<u64>),
    /// Any other status.
    Status(u16, RetryAfter),
    Timeout,
    NetworkError,
    /// An error that a retry does not cure.
    OtherError,
}

#[derive(Clone, Debug)]
pub(super) enum RetryAfter {
    Absent,
    Seconds(u64),
    /// Seconds after the `Date` header, or after the client's clock without that header.
    Date {
        offset: i64,
        has_date: bool,
    },
}

impl Reply {
    /// Outcome by `docs/protocol.md`.
    pub(super) fn outcome(&self, wall: SystemTime) -> DeliveryOutcome {
        match self {
            Self::Accepted(..) => DeliveryOutcome::Accepted,
            Self::Timeout | Self::NetworkError => DeliveryOutcome::Retry { retry_after: None },
            Self::Status(400 | 413 | 422, _) => DeliveryOutcome::BatchRejected,
            Self::Status(408 | 429 | 500..=599, it) => {
                DeliveryOutcome::Retry { retry_after: it.pause(wall) }
            }
            Self::Status(..) | Self::OtherError => DeliveryOutcome::Misconfigured,
        }
    }

    /// Number of rejected events in a batch of `count`.
    pub(super) fn rejected(&self, count: usize) -> usize {
        let Self::Accepted(_, Some(rejected)) = self else { return 0 };
        count.min(usize::try_from(*rejected).unwrap_or(usize::MAX))
    }

    pub(super) fn result(&self, wall: SystemTime) -> Result<Response, TransportError> {
        match self {
            Self::Accepted(code, rejected) => {
                let receipt = rejected.map(|it| json!({ "rejected": it }).to_string());
                Ok(status(*code).map(|_| receipt.unwrap_or_default().into_bytes()))
            }
            Self::Status(code, retry_after) => {
                let mut response = status(*code);
                retry_after.write(response.headers_mut(), wall);
                Ok(response)
            }
            Self::Timeout => Err(TransportError::Timeout),
            Self::NetworkError => Err(TransportError::network("reset")),
            Self::OtherError => Err(TransportError::other("no such gateway")),
        }
    }
}

impl RetryAfter {
    fn pause(&self, wall: SystemTime) -> Option<Duration> {
        match self {
            Self::Absent => None,
            Self::Seconds(seconds) => Some(Duration::from_secs(*seconds)),
            Self::Date { offset, has_date } => {
                let pause = Duration::from_secs((*offset).try_into().unwrap_or_default());
                // A date has whole seconds, the client's clock has fractions.
                Some(pause.saturating_sub(Duration::from_nanos(date(*has_date, wall).1.into())))
            }
        }
    }

    fn write(&self, headers: &mut HeaderMap, wall: SystemTime) {
        let mut write = |name: &'static str, value: String| {
            headers.insert(name, HeaderValue::from_str(&value).expect("text"));
        };
        match self {
            Self::Absent => {}
            Self::Seconds(seconds) => write("retry-after", seconds.to_string()),
            Self::Date { offset, has_date } => {
                let (now, _, sends_date) = date(*has_date, wall);
                let text = |seconds: u64| {
                    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
                };
                write("retry-after", text(now.saturating_add_signed(*offset)));
                if sends_date {
                    write("date", text(now));
                }
            }
        }
    }
}

/// Clock that a `Retry-After` date refers to: seconds, nanoseconds, and whether the server sends it.
fn date(has_date: bool, wall: SystemTime) -> (u64, u32, bool) {
    match wall.duration_since(UNIX_EPOCH) {
        Ok(since) if !has_date && since.as_secs() < 253_000_000_000 => {
            (since.as_secs(), since.subsec_nanos(), false)
        }
        // Years behind the client's clock.
        _ => (1_000_000_000, 0, true),
    }
}

pub(super) fn reply() -> impl Strategy<Value = Reply> {
    let status = |codes: &[u16]| {
        (select(codes.to_vec()), retry_after()).prop_map(|(code, wait)| Reply::Status(code, wait))
    };
    let rejected = option::of(prop_oneof![0..5_u64, any::<u64>()]);
    prop_oneof![
        10 => (select(vec![200, 201, 202, 204, 207, 299]), rejected)
            .prop_map(|(code, rejected)| Reply::Accepted(code, rejected)),
        7 => status(&[408, 429, 500, 502, 503, 504, 599]),
        3 => status(&[400, 413, 422]),
        1 => status(&[401, 403, 404, 405, 410, 301, 307, 308, 600, 999]),
        1 => Just(Reply::Timeout),
        2 => Just(Reply::NetworkError),
        1 => Just(Reply::OtherError),
    ]
}

fn retry_after() -> impl Strategy<Value = RetryAfter> {
    prop_oneof![
        3 => Just(RetryAfter::Absent),
        3 => prop_oneof![0..3_u64, 0..1_000_u64, any::<u64>()].prop_map(RetryAfter::Seconds),
        2 => (prop_oneof![-100_000..100_000_i64, -5..5_i64], any::<bool>())
            .prop_map(|(offset, has_date)| RetryAfter::Date { offset, has_date }),
    ]
}

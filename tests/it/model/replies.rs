//! Random results of requests, and their documented meaning.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue};
use mosaicstack_telemetry::{Response, TransportError, Verdict};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};
use telemetry_tests::status;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A status of success with a body.
    Accepted(u16, Receipt),
    /// Any other status.
    Status(u16, RetryAfter),
    Timeout,
    NetworkError,
    /// An error that a retry does not cure.
    OtherError,
}

#[derive(Clone, Debug)]
pub(super) enum Receipt {
    Text(&'static str),
    Json { rejected: Option<u64>, results: Vec<EventResult> },
}

/// The event, its status, and whether an error is given.
type EventResult = (Event, Option<&'static str>, bool);

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// Index in the batch, modulo its length.
    InBatch(usize),
    /// Not of the batch.
    Foreign,
    Unnamed,
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
    /// Values of `Retry-After` and of `Date`.
    Bytes(Vec<u8>, Vec<u8>),
}

impl Reply {
    /// The documented outcome; `actual` decides for `Retry-After` values of arbitrary bytes.
    pub(super) fn outcome(&self, wall: SystemTime, actual: Verdict) -> Verdict {
        match self {
            Self::Accepted(..) => Verdict::Accepted,
            Self::Timeout | Self::NetworkError => Verdict::Transient { retry_after: None },
            Self::Status(400 | 413 | 422, _) => Verdict::BatchAtFault,
            Self::Status(408 | 429 | 500..=599, RetryAfter::Bytes(..))
                if matches!(actual, Verdict::Transient { .. }) =>
            {
                actual
            }
            Self::Status(408 | 429 | 500..=599, it) => {
                Verdict::Transient { retry_after: it.pause(wall) }
            }
            Self::Status(..) | Self::OtherError => Verdict::Configuration,
        }
    }

    /// Number of rejected events in a batch of `count`, by `docs/protocol.md`.
    pub(super) fn rejected(&self, count: usize) -> usize {
        let Self::Accepted(_, Receipt::Json { rejected, results }) = self else { return 0 };
        let mut events = vec![false; count];
        let mut unnamed = 0;
        for &(event, status, has_error) in results {
            let is_rejected = status == Some("rejected") || has_error && status != Some("accepted");
            match event {
                Event::InBatch(index) => events[index % count] |= is_rejected,
                Event::Unnamed => unnamed += usize::from(is_rejected),
                Event::Foreign => {}
            }
        }
        let named = events.iter().filter(|&&it| it).count();
        let total = rejected.map_or(0, |it| usize::try_from(it).unwrap_or(usize::MAX));
        (named + unnamed).max(total).min(count)
    }

    pub(super) fn result(
        &self,
        ids: &[Uuid],
        wall: SystemTime,
    ) -> Result<Response, TransportError> {
        match self {
            Self::Accepted(code, receipt) => Ok(status(*code).map(|_| receipt.body(ids))),
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

impl Receipt {
    fn body(&self, ids: &[Uuid]) -> Vec<u8> {
        let (rejected, results) = match self {
            Self::Text(text) => return text.as_bytes().to_vec(),
            Self::Json { rejected, results } => (rejected, results),
        };
        let results = results.iter().map(|&(event, status, has_error)| {
            let id = match event {
                Event::InBatch(index) => Some(ids[index % ids.len()]),
                Event::Foreign => Some(Uuid::nil()),
                Event::Unnamed => None,
            };
            let error = has_error.then_some("no such model");
            let mut result = json!({ "event_id": id, "status": status, "error": error });
            result.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
            result
        });
        let results: Vec<Value> = results.collect();
        json!({ "rejected": rejected, "results": results }).to_string().into_bytes()
    }
}

impl RetryAfter {
    fn pause(&self, wall: SystemTime) -> Option<Duration> {
        match self {
            Self::Absent | Self::Bytes(..) => None,
            Self::Seconds(seconds) => Some(Duration::from_secs(*seconds)),
            Self::Date { offset, has_date } => {
                let pause = Duration::from_secs((*offset).try_into().unwrap_or_default());
                // A date has whole seconds, the client's clock has fractions.
                Some(pause.saturating_sub(Duration::from_nanos(date(*has_date, wall).1.into())))
            }
        }
    }

    fn write(&self, headers: &mut HeaderMap, wall: SystemTime) {
        let mut write = |name: &'static str, value: &[u8]| {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.insert(name, value);
            }
        };
        match self {
            Self::Absent => {}
            Self::Seconds(seconds) => write("retry-after", seconds.to_string().as_bytes()),
            Self::Bytes(retry_after, date) => {
                write("retry-after", retry_after);
                write("date", date);
            }
            Self::Date { offset, has_date } => {
                let (now, _, sends_date) = date(*has_date, wall);
                let text = |seconds: u64| {
                    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
                };
                write("retry-after", text(now.saturating_add_signed(*offset)).as_bytes());
                if sends_date {
                    write("date", text(now).as_bytes());
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
    prop_oneof![
        10 => (select(vec![200, 201, 202, 204, 207, 299]), receipt())
            .prop_map(|(code, receipt)| Reply::Accepted(code, receipt)),
        7 => status(&[408, 429, 500, 502, 503, 504, 599]),
        3 => status(&[400, 413, 422]),
        1 => status(&[401, 403, 404, 405, 410, 301, 307, 308, 600, 999]),
        1 => Just(Reply::Timeout),
        2 => Just(Reply::NetworkError),
        1 => Just(Reply::OtherError),
    ]
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let event = prop_oneof![
        4 => (0..100_usize).prop_map(Event::InBatch),
        1 => Just(Event::Foreign),
        1 => Just(Event::Unnamed),
    ];
    let status = option::of(select(vec!["accepted", "rejected", "deferred"]));
    let rejected = option::of(prop_oneof![0..5_u64, any::<u64>()]);
    let texts = vec!["ok", "<html>", "[]", "7", r#"{"rejected":"many"}"#, r#"{"results":{}}"#];
    prop_oneof![
        4 => Just(Receipt::Text("")),
        1 => select(texts).prop_map(Receipt::Text),
        2 => (rejected, vec((event, status, any::<bool>()), 0..8))
            .prop_map(|(rejected, results)| Receipt::Json { rejected, results }),
    ]
}

fn retry_after() -> impl Strategy<Value = RetryAfter> {
    let like_a_date = "(Mon|Sun|Foo)?,? ?[0-9]{1,2} (Jan|Feb|Dec|Bar) [0-9]{1,5} \
                       [0-9]{1,2}:[0-9]{2}:[0-9]{2} (GMT|UTC)?";
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..40),
        any::<u128>().prop_map(|number| number.to_string().into_bytes()),
        any::<f64>().prop_map(|number| number.to_string().into_bytes()),
        like_a_date.prop_map(String::into_bytes),
        Just(b"Fri, 31 Dec 9999 23:59:59 GMT".to_vec()),
        Just(b"Thu, 01 Jan 1970 00:00:00 GMT".to_vec()),
        Just(b"Sunday, 06-Nov-94 08:49:37 GMT".to_vec()),
    ];
    prop_oneof![
        3 => Just(RetryAfter::Absent),
        3 => prop_oneof![0..3_u64, 0..1_000_u64, any::<u64>()].prop_map(RetryAfter::Seconds),
        2 => (prop_oneof![-100_000..100_000_i64, -5..5_i64], any::<bool>())
            .prop_map(|(offset, has_date)| RetryAfter::Date { offset, has_date }),
        2 => (bytes.clone(), bytes).prop_map(|(wait, date)| RetryAfter::Bytes(wait, date)),
    ]
}

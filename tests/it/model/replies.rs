//! Random results of requests, and their documented meaning.

use std::time::Duration;

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
    /// Any other status, and the seconds of its `Retry-After`.
    Status(u16, Option<u64>),
    /// A status with a page instead of JSON.
    Page(u16),
    /// A status of success, and a receipt that accepts nothing.
    NoneAccepted,
    Timeout,
    NetworkError,
    /// An error that a retry does not cure.
    OtherError,
}

impl Reply {
    /// Outcome for a batch of `count` by `docs/protocol.md`, if the server has accepted events before.
    pub(super) fn outcome(&self, count: usize) -> DeliveryOutcome {
        match self {
            Self::Accepted(..) if self.rejected(count) == count => DeliveryOutcome::BatchRejected,
            Self::Accepted(..) => DeliveryOutcome::Accepted,
            Self::NoneAccepted => DeliveryOutcome::BatchRejected,
            Self::Page(200..=299) => DeliveryOutcome::Misconfigured,
            Self::Page(code) => Self::Status(*code, None).outcome(count),
            Self::Timeout | Self::NetworkError => DeliveryOutcome::Retry { retry_after: None },
            Self::Status(400 | 413 | 422, _) => DeliveryOutcome::BatchRejected,
            Self::Status(408 | 429 | 500..=599, seconds) => {
                DeliveryOutcome::Retry { retry_after: seconds.map(Duration::from_secs) }
            }
            Self::Status(..) | Self::OtherError => DeliveryOutcome::Misconfigured,
        }
    }

    /// True if it is not the API's, unless the server has accepted events before.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Self::Page(400 | 422))
    }

    /// Number of rejected events in a batch of `count`.
    pub(super) fn rejected(&self, count: usize) -> usize {
        let Self::Accepted(_, Some(rejected)) = self else { return 0 };
        count.min(usize::try_from(*rejected).unwrap_or(usize::MAX))
    }

    pub(super) fn result(&self) -> Result<Response, TransportError> {
        match self {
            Self::Accepted(code, rejected) => {
                let receipt = rejected.map(|it| json!({ "rejected": it }).to_string());
                Ok(status(*code).map(|_| receipt.unwrap_or_default().into_bytes()))
            }
            Self::Status(code, seconds) => {
                let mut response = status(*code);
                if let Some(seconds) = *seconds {
                    response.headers_mut().insert("retry-after", seconds.into());
                }
                Ok(response)
            }
            Self::Page(code) => Ok(status(*code).map(|_| b"<html>".to_vec())),
            Self::NoneAccepted => Ok(status(200).map(|_| br#"{"accepted":0}"#.to_vec())),
            Self::Timeout => Err(TransportError::Timeout),
            Self::NetworkError => Err(TransportError::network("reset")),
            Self::OtherError => Err(TransportError::other("no such gateway")),
        }
    }
}

pub(super) fn reply() -> impl Strategy<Value = Reply> {
    let retry_after = option::of(prop_oneof![0..3_u64, 0..1_000_u64, any::<u64>()]);
    let status = move |codes: &[u16]| {
        (select(codes.to_vec()), retry_after.clone())
            .prop_map(|(code, seconds)| Reply::Status(code, seconds))
    };
    let rejected = option::of(prop_oneof![0..5_u64, any::<u64>()]);
    prop_oneof![
        10 => (select(vec![200, 201, 202, 204, 207, 299]), rejected)
            .prop_map(|(code, rejected)| Reply::Accepted(code, rejected)),
        7 => status(&[408, 429, 500, 502, 503, 504, 599]),
        3 => status(&[400, 413, 422]),
        1 => status(&[401, 403, 404, 405, 410, 301, 307, 308, 600, 999]),
        1 => select(vec![200, 204, 400, 401, 413, 422, 503]).prop_map(Reply::Page),
        1 => Just(Reply::NoneAccepted),
        1 => Just(Reply::Timeout),
        2 => Just(Reply::NetworkError),
        1 => Just(Reply::OtherError),
    ]
}

//! Delivery notifications passed to the `on_notification` callback.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeStruct};
use telemetry_transport::{Response, TransportError, http::StatusCode};
use uuid::Uuid;

use crate::{redact::excerpt, response};

/// Reports what happened to events, to the callback set with
/// [`on_notification`](crate::TelemetryConfigBuilder::on_notification).
///
/// A notification contains no API key: text from the server or a transport is cut after 200
/// characters, and parts that may be the key (hexadecimal digits, base64) are redacted.
///
/// Serialized as a map whose `type` is the variant in snake case; `retry_in` becomes `retry_in_ms`, in whole
/// milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notification {
    /// The server accepted events: all of a request, except for those reported as `Rejected`.
    Delivered {
        /// Number of events, at least 1.
        events: usize,
    },
    /// A request failed for a reason that may pass, or the server refused the only event. The events
    /// stay queued.
    Deferred {
        /// Number of events in the request.
        events: usize,
        /// Why the request failed.
        cause: FailureCause,
        /// Time until the next attempt, unless a flush or the shutdown comes first.
        #[serde(rename = "retry_in_ms", serialize_with = "milliseconds")]
        retry_in: Duration,
    },
    /// The server rejected an event for good.
    Rejected {
        /// The event's id; `None` if the server's answer does not name it.
        event_id: Option<Uuid>,
        /// The server's reason.
        reason: String,
    },
    /// The queue was full, and the oldest events were evicted. The sum of these notifications is
    /// [`Stats::evicted`](crate::Stats::evicted) at the time of the last one.
    Evicted {
        /// Number of events since the last such notification, at least 1.
        events: u64,
    },
    /// The server refuses the configuration or every event, or it cannot be used: URL, key, instance,
    /// certificate.
    /// Events stay queued and are tried again.
    Misconfigured {
        /// Why the request failed.
        cause: FailureCause,
        /// Time until the next attempt, unless a flush or the shutdown comes first.
        #[serde(rename = "retry_in_ms", serialize_with = "milliseconds")]
        retry_in: Duration,
    },
    /// Events of another process, or left to the spool before, were read from the [`spool`](crate::spool) and are
    /// delivered next.
    #[cfg(feature = "spool")]
    Recovered {
        /// Number of events since the last such notification, at least 1.
        events: u64,
    },
    /// Events were left to the spool: there was no room for them in memory, or the client is stopped. They are
    /// delivered later, by this client or by another process. The sum of these notifications is
    /// [`Stats::spooled`](crate::Stats::spooled) after `stop`.
    #[cfg(feature = "spool")]
    Spooled {
        /// Number of events since the last such notification, at least 1.
        events: u64,
    },
    /// Events of the spool could not be read. They are lost.
    #[cfg(feature = "spool")]
    Damaged {
        /// Number of events since the last such notification, at least 1.
        events: u64,
    },
    /// Events were removed from the spool because of its bounds, or of their age. They are lost.
    #[cfg(feature = "spool")]
    Expired {
        /// Number of events since the last such notification, at least 1.
        events: u64,
    },
    /// The spool cannot be written, and events stay in memory as without one; or it cannot be read, and events of others
    /// stay there. It is tried again, and this is reported once until it works.
    #[cfg(feature = "spool")]
    SpoolFailed {
        /// The file or folder, and the reason.
        reason: String,
    },
    /// Panics were caught, for example in the transport or in a log subscriber. Each costs at most
    /// one attempt. Panics of the callback itself are counted in
    /// [`Stats::panics`](crate::Stats::panics) only.
    PanicCaught {
        /// Number of panics since the last such notification, at least 1.
        panics: u64,
    },
}

/// Why a request failed.
///
/// Serialized as a map with the `type` (`status`, `timeout`, `network` or `other`), the `status` or null, and
/// the `message` that `Display` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureCause {
    /// The server answered with this status, which refuses the request, or with a body that does not
    /// accept it.
    Status {
        /// The status.
        status: StatusCode,
        /// The server's reason, or a description of its body; on one line.
        reason: Option<String>,
    },
    /// [`TransportError::Timeout`].
    Timeout,
    /// [`TransportError::Network`], with its message.
    Network(String),
    /// [`TransportError::Other`], with its message.
    Other(String),
}

impl FailureCause {
    pub(crate) fn of(result: &Result<Response, TransportError>) -> Self {
        match result {
            Ok(response) => {
                Self::Status { status: response.status(), reason: response::reason(response) }
            }
            Err(TransportError::Timeout) => Self::Timeout,
            Err(error @ TransportError::Network(_)) => Self::Network(excerpt(&error.to_string())),
            Err(error) => Self::Other(excerpt(&error.to_string())),
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, reason } => {
                response::write_refusal(f, *status, reason.as_deref())
            }
            Self::Timeout => TransportError::Timeout.fmt(f),
            Self::Network(message) | Self::Other(message) => f.write_str(message),
        }
    }
}

impl Serialize for FailureCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, status) = match self {
            Self::Status { status, .. } => ("status", Some(status.as_u16())),
            Self::Timeout => ("timeout", None),
            Self::Network(_) => ("network", None),
            Self::Other(_) => ("other", None),
        };
        let mut map = serializer.serialize_struct("FailureCause", 3)?;
        map.serialize_field("type", kind)?;
        map.serialize_field("status", &status)?;
        map.serialize_field("message", &self.to_string())?;
        map.end()
    }
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The callback of an application.
#[derive(Clone)]
pub(crate) struct Callback(Arc<dyn Fn(&Notification) + Send + Sync>);

impl Callback {
    pub(crate) fn new(callback: impl Fn(&Notification) + Send + Sync + 'static) -> Self {
        Self(Arc::new(callback))
    }

    pub(crate) fn call(&self, notification: &Notification) {
        (self.0)(notification);
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn notifications_are_serialized_with_their_type() {
        let cause = FailureCause::Status {
            status: StatusCode::SERVICE_UNAVAILABLE,
            reason: Some("busy".to_owned()),
        };
        let message = cause.to_string();
        let id = Uuid::from_u128(7);
        let retry_in = Duration::from_micros(1_999);
        for (notification, expected) in [
            (Notification::Delivered { events: 2 }, json!({"type": "delivered", "events": 2})),
            (
                Notification::Deferred { events: 3, cause, retry_in },
                json!({
                    "type": "deferred", "events": 3, "retry_in_ms": 1,
                    "cause": {"type": "status", "status": 503, "message": message},
                }),
            ),
            (
                Notification::Rejected { event_id: Some(id), reason: "a reason".to_owned() },
                json!({"type": "rejected", "event_id": id, "reason": "a reason"}),
            ),
            (
                Notification::Misconfigured {
                    cause: FailureCause::Other("a certificate".to_owned()),
                    retry_in: Duration::MAX,
                },
                json!({
                    "type": "misconfigured", "retry_in_ms": u64::MAX,
                    "cause": {"type": "other", "status": null, "message": "a certificate"},
                }),
            ),
        ] {
            assert_eq!(json!(notification), expected);
        }
    }
}

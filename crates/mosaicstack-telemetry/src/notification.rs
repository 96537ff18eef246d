//! Delivery notifications passed to the `on_notification` callback.

use std::{fmt, sync::Arc, time::Instant};

use telemetry_transport::{Response, TransportError, http::StatusCode};
use uuid::Uuid;

use crate::{redact::excerpt, response};

/// Reports what happened to events, to the callback set with
/// [`on_notification`](crate::TelemetryConfigBuilder::on_notification).
///
/// A notification contains no API key: text from the server or a transport is cut after 200
/// characters, and parts that may be the key (hexadecimal digits, base64) are redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// Time of the next attempt, unless a flush or the shutdown comes first.
        until: Instant,
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
        /// Time of the next attempt, unless a flush or the shutdown comes first.
        until: Instant,
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

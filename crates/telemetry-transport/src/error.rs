//! Errors of transports.

use std::{error::Error, fmt, sync::Arc};

type BoxError = Box<dyn Error + Send + Sync>;
type SharedError = Arc<dyn Error + Send + Sync>;

/// The reason why there is no response to a request.
///
/// Every status is a response, also one that refuses the request, and also if the body after it is
/// incomplete. The variant decides what the client does with the events that the request carried.
///
/// # Mapping errors
///
/// When writing a transport, map errors like this:
///
/// 1. No status and headers within the [`Timeout`](crate::Timeout) to [`Timeout`](Self::Timeout). The
///    server may have processed the request; the client sends it again and relies on the server to
///    ignore duplicates.
/// 2. Failures that may pass to [`Network`](Self::Network): host not found, no route, connection
///    refused or reset, incomplete or malformed head. The client sends the request again, with
///    backoff.
/// 3. Failures that repeat until someone intervenes to [`Other`](Self::Other): invalid certificate,
///    unusable URL, refusal by a proxy (except with 408, 429 or 5xx, which may pass). The client keeps the events, reports a misconfiguration
///    once, and tries again at its next regular interval.
///
/// If in doubt, use `Network`. Messages are logged: they must not contain the headers of the request,
/// among which is the API key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// No response arrived within the timeout of the request.
    Timeout,
    /// The connection failed or broke. The same request may succeed later.
    Network(SharedError),
    /// The request cannot succeed without a change of the configuration or of the server.
    Other(SharedError),
}

impl TransportError {
    /// Wraps an error as [`Network`](Self::Network).
    pub fn network(error: impl Into<BoxError>) -> Self {
        Self::Network(error.into().into())
    }

    /// Wraps an error as [`Other`](Self::Other).
    pub fn other(error: impl Into<BoxError>) -> Self {
        Self::Other(error.into().into())
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout: no response"),
            Self::Network(error) => write!(f, "network error: {error}"),
            Self::Other(error) => write!(f, "cannot send the request: {error}"),
        }
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Timeout => None,
            Self::Network(error) | Self::Other(error) => Some(&**error),
        }
    }
}

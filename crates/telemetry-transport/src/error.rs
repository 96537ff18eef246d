//! Why there is no answer.

use std::{error::Error, fmt};

type BoxError = Box<dyn Error + Send + Sync>;

/// There is no answer to a request.
///
/// An answer that refuses is an answer; only the absence of one is an error. Which variant it is
/// decides what becomes of the events that the request carried:
///
/// | the request | error | the client |
/// |---|---|---|
/// | may or may not have arrived: no complete answer came in time | [`Timeout`](Self::Timeout) | tries again, with back-off; the server is assumed to take a repeated event once |
/// | could not be sent, or its answer broke off: no route, refused, reset, a name that is not found | [`Network`](Self::Network) | the same |
/// | will not go through however often it is tried: the certificate is refused, the address cannot be used, a gateway's own refusal | [`Other`](Self::Other) | keeps the events, waits for its next interval, and says so once |
///
/// Messages end up in logs: they must not repeat the request's headers, which carry the API key.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// No complete answer came in the time that the request allows.
    Timeout,
    /// The connection could not be made, or broke.
    Network(BoxError),
    /// The same request would fail again.
    Other(BoxError),
}

impl TransportError {
    /// The connection could not be made, or broke.
    pub fn network(error: impl Into<BoxError>) -> Self {
        Self::Network(error.into())
    }

    /// The same request would fail again.
    pub fn other(error: impl Into<BoxError>) -> Self {
        Self::Other(error.into())
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no complete answer in time"),
            Self::Network(error) => write!(f, "no connection: {error}"),
            Self::Other(error) => write!(f, "the request cannot be sent: {error}"),
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

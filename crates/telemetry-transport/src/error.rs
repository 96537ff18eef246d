//! Why there is no answer.

use std::{error::Error, fmt, sync::Arc};

type BoxError = Box<dyn Error + Send + Sync>;
type SharedError = Arc<dyn Error + Send + Sync>;

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
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// No complete answer came in the time that the request allows.
    Timeout,
    /// The connection could not be made, or broke.
    Network(SharedError),
    /// The same request would fail again.
    Other(SharedError),
}

impl TransportError {
    /// The connection could not be made, or broke.
    pub fn network(error: impl Into<BoxError>) -> Self {
        Self::Network(error.into().into())
    }

    /// The same request would fail again.
    pub fn other(error: impl Into<BoxError>) -> Self {
        Self::Other(error.into().into())
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no complete answer in time"),
            Self::Network(error) => write!(f, "no answer: {error}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_says_the_same_and_has_the_same_source() {
        for error in [
            TransportError::Timeout,
            TransportError::network("reset"),
            TransportError::other(std::io::Error::other("certificate")),
        ] {
            let clone = error.clone();
            assert_eq!(clone.to_string(), error.to_string());
            assert_eq!(
                clone.source().map(ToString::to_string),
                error.source().map(ToString::to_string)
            );
        }
    }
}

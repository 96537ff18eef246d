//! Conversion of hyper's errors.

use super::tunnel::Refusal;
use crate::{
    TransportError,
    causes::{self, DynError},
    proxy::is_refusal,
};

pub(super) fn transport_error(error: DynError<'_>) -> TransportError {
    causes::transport_error(error, is_permanent_cause)
}

/// Returns whether the same request would fail again.
fn is_permanent_cause(cause: DynError<'_>) -> bool {
    cause.downcast_ref().is_some_and(hyper::Error::is_user)
        || cause.downcast_ref().is_some_and(|Refusal(status)| is_refusal(*status))
        || cause.is::<crate::crypto::MissingProvider>()
        || cause.is::<rustls::Error>()
        || cause.is::<rustls::pki_types::InvalidDnsNameError>()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn nested_cause_decides_and_is_reported_once() {
        let nested = |kind| {
            let error = io::Error::other(io::Error::new(kind, "an inner error"));
            transport_error(&TransportError::network(error))
        };
        // For example an invalid chunk length.
        let error = nested(io::ErrorKind::InvalidData);
        assert!(matches!(error, TransportError::Network(_)), "{error:?}");
        assert_eq!(error.to_string().matches("an inner error").count(), 1, "{error}");
        let error = nested(io::ErrorKind::TimedOut);
        assert!(matches!(error, TransportError::Timeout), "{error:?}");
        let tls = rustls::Error::General("a certificate".into());
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        let error = transport_error(&TransportError::network(error));
        assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    }
}

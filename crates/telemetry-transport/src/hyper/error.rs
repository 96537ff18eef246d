//! Conversion of hyper's errors.

use std::{error::Error, io, iter};

use super::tunnel::Refusal;
use crate::{TransportError, proxy::is_refusal, request};

type DynError<'a> = &'a (dyn Error + 'static);

/// Classifies an error by its causes, and joins their messages: hyper's outermost ones say little.
pub(super) fn transport_error(error: DynError<'_>) -> TransportError {
    let mut message = String::new();
    let mut is_permanent = false;
    for cause in iter::successors(Some(error), |error| source(*error)) {
        if cause.downcast_ref().map(io::Error::kind) == Some(io::ErrorKind::TimedOut) {
            return TransportError::Timeout;
        }
        is_permanent |= is_permanent_cause(cause);
        let text = cause.to_string();
        // An `io::Error` repeats the message of the error inside.
        if !message.ends_with(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
    }
    if is_permanent { TransportError::other(message) } else { TransportError::network(message) }
}

/// Returns whether the server closed the connection before the head of a response.
pub(super) fn is_disconnect(error: DynError<'_>) -> bool {
    iter::successors(Some(error), |error| source(*error)).any(|cause| {
        cause.downcast_ref().is_some_and(hyper::Error::is_incomplete_message)
            || cause
                .downcast_ref()
                .is_some_and(|error: &io::Error| request::is_disconnect(error.kind()))
    })
}

fn source(error: DynError<'_>) -> Option<DynError<'_>> {
    match error.downcast_ref::<io::Error>() {
        // `io::Error::source` skips the error inside, and returns the source of that one.
        Some(error) => error.get_ref().map(|inner| inner as DynError<'_>),
        None => error.source(),
    }
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

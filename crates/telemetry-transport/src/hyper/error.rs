//! What an error of hyper's means.

use std::{error::Error, io, iter};

use crate::TransportError;

type Cause<'a> = &'a (dyn Error + 'static);

/// Says every cause, in one line: those of hyper's on the outside say next to nothing.
pub(super) fn transport_error(error: Cause<'_>) -> TransportError {
    let mut message = String::new();
    let mut is_final = false;
    for cause in causes(error) {
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::TimedOut) => return TransportError::Timeout,
            _ => is_final |= cannot_work(cause),
        }
        let text = cause.to_string();
        // An `io::Error` says what the error within says.
        if !message.ends_with(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
    }
    if is_final { TransportError::other(message) } else { TransportError::network(message) }
}

/// The error and what caused it.
fn causes(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    iter::successors(Some(error), |error| cause(*error))
}

fn cause(error: Cause<'_>) -> Option<Cause<'_>> {
    match error.downcast_ref::<io::Error>() {
        // Its source is that of the error within, which would be left out.
        Some(error) => error.get_ref().map(|within| within as Cause<'_>),
        None => error.source(),
    }
}

fn cannot_work(cause: Cause<'_>) -> bool {
    let is_user = cause.downcast_ref().is_some_and(hyper::Error::is_user);
    #[cfg(feature = "rustls")]
    let is_user = is_user
        || cause.is::<rustls::Error>()
        || cause.is::<rustls::pki_types::InvalidDnsNameError>();
    is_user
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_may_lie_deep_and_every_cause_is_said_once() {
        let deep = |kind| io::Error::other(io::Error::new(kind, "a certificate"));
        let error = transport_error(&TransportError::network(deep(io::ErrorKind::InvalidData)));
        assert!(matches!(error, TransportError::Network(_)), "a chunk's length, say: {error:?}");
        assert_eq!(error.to_string().matches("a certificate").count(), 1, "{error}");
        #[cfg(feature = "rustls")]
        {
            let refused = rustls::Error::General("a certificate".into());
            let refused = io::Error::new(io::ErrorKind::InvalidData, refused);
            let error = transport_error(&TransportError::network(io::Error::other(refused)));
            assert!(matches!(error, TransportError::Other(_)), "{error:?}");
        }
        let error = transport_error(&TransportError::network(deep(io::ErrorKind::TimedOut)));
        assert!(matches!(error, TransportError::Timeout), "{error:?}");
        let error = transport_error(&io::Error::from(io::ErrorKind::ConnectionReset));
        assert!(matches!(error, TransportError::Network(_)), "{error:?}");
        assert_eq!(error.to_string(), "no answer: connection reset");
    }
}

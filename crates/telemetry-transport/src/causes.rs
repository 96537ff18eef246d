//! Errors of hyper and reqwest, classified by their causes.

use std::{error::Error, io, iter};

use crate::{TransportError, request};

pub(crate) type DynError<'a> = &'a (dyn Error + 'static);

/// Classifies an error by its causes, and joins their messages: the outermost ones say little.
pub(crate) fn transport_error(
    error: DynError<'_>,
    is_permanent: impl Fn(DynError<'_>) -> bool,
) -> TransportError {
    let (mut message, mut permanent) = (String::new(), false);
    for cause in causes(error) {
        if cause.downcast_ref().map(io::Error::kind) == Some(io::ErrorKind::TimedOut) {
            return TransportError::Timeout;
        }
        permanent |= is_permanent(cause);
        let text = cause.to_string();
        // An `io::Error` repeats the message of the error inside.
        if !message.ends_with(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
    }
    if permanent { TransportError::other(message) } else { TransportError::network(message) }
}

/// Returns whether the server closed the connection before the head of a response.
pub(crate) fn is_disconnect(error: DynError<'_>) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref().is_some_and(hyper::Error::is_incomplete_message)
            || cause
                .downcast_ref()
                .is_some_and(|error: &io::Error| request::is_disconnect(error.kind()))
    })
}

/// The error itself and its causes.
fn causes(error: DynError<'_>) -> impl Iterator<Item = DynError<'_>> {
    iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        // `io::Error::source` skips the error inside, and returns the source of that one.
        Some(error) => error.get_ref().map(|inner| inner as DynError<'_>),
        None => error.source(),
    })
}

//! A server's answer as an input has it.
//!
//! A status, headers a line each, an empty line, and the body. Instead of the status, `timeout`,
//! `network` and what went wrong, or anything else for an error of another kind.

use http::{HeaderName, HeaderValue, StatusCode};
use mosaicstack_telemetry::{Response, TransportError};

use super::secret;

/// What stands between two answers.
const BETWEEN: &str = "\n~~~\n";

/// Reads any number of answers.
pub(super) fn all(input: &[u8]) -> impl Iterator<Item = Result<Response, TransportError>> {
    let input = secret::planted(input);
    let answers: Vec<_> = input.split(BETWEEN).map(one).collect();
    answers.into_iter()
}

/// Reads one answer; whatever is no status is an error of the transport.
pub(super) fn one(text: &str) -> Result<Response, TransportError> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.split('\n');
    let first = lines.next().unwrap_or_default();
    let Ok(status) = StatusCode::from_bytes(first.as_bytes()) else {
        return Err(match first.split_once(' ').unwrap_or((first, "")) {
            ("timeout", _) => TransportError::Timeout,
            ("network", reason) => TransportError::network(reason),
            _ => TransportError::other(first),
        });
    };
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = status;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

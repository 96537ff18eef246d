//! Text form of a server's answer: a status, headers one to a line, an empty line, and the body.
//! Instead of a status: `timeout`, `network` and a reason, or any text for another transport error.

use http::{HeaderName, HeaderValue, StatusCode};
use mosaicstack_telemetry::transport::{Response, TransportError};

/// Parses answers, which the line `~~~` separates.
pub(super) fn all(text: &str) -> impl Iterator<Item = Result<Response, TransportError>> {
    text.split("\n~~~\n").map(one)
}

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

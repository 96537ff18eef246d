//! The `authorization` header.

use http::{HeaderMap, header};

/// The credential of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credential<'h> {
    /// There is no header.
    Absent,
    /// The token of the only header, after `Bearer`.
    Bearer(&'h [u8]),
    /// Anything else.
    Other(&'h [u8]),
}

impl<'h> Credential<'h> {
    pub(crate) fn of(headers: &'h HeaderMap) -> Self {
        const SCHEME: &[u8] = b"Bearer ";
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Self::Absent,
            (Some(value), None) => value.as_bytes(),
            (Some(_), Some(_)) => return Self::Other(b""),
        };
        match value.split_at_checked(SCHEME.len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => Self::Bearer(token),
            _ => Self::Other(value),
        }
    }

    /// The password of HTTP Basic (RFC 7617), after the first colon. `None` for other credentials.
    #[cfg(feature = "keys")]
    pub(crate) fn password(&self) -> Option<Vec<u8>> {
        use base64::{Engine, prelude::BASE64_STANDARD};

        let Self::Other(value) = self else { return None };
        let (scheme, encoded) = value.split_at_checked(b"Basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Basic ") {
            return None;
        }
        let decoded = BASE64_STANDARD.decode(encoded).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        Some(decoded[colon + 1..].into())
    }
}

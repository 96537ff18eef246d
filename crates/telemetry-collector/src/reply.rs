//! A response before the changes of its template.

use std::convert::Infallible;

use bytes::Bytes;
use http::response::Parts;
use http_body_util::combinators::UnsyncBoxBody;

use crate::routes::ApiResponse;

/// A body that is generated while it is sent.
pub(crate) type ReplyStream = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    /// Sent instead of `body`, unless the template writes the response byte by byte.
    pub(crate) stream: Option<ReplyStream>,
    /// The error; empty for a response that is none.
    pub(crate) reason: String,
}

impl From<ApiResponse> for Reply {
    fn from(response: ApiResponse) -> Self {
        let reason = response.reason().to_owned();
        let (parts, body) = response.into_parts();
        Self { parts, body, stream: None, reason }
    }
}

//! Bodies of asynchronous responses.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::MAX_RESPONSE_BYTES;

/// Appends the body to `bytes`, up to the maximum or to an error.
pub(crate) async fn read(mut body: impl Body<Data = Bytes> + Unpin, bytes: &mut Vec<u8>) {
    while bytes.len() < MAX_RESPONSE_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Ok(data) = frame.into_data() {
            let left = MAX_RESPONSE_BYTES - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(left)]);
        }
    }
}

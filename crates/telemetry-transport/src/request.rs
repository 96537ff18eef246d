//! Requests and responses.

#[cfg(any(feature = "hyper", feature = "reqwest", feature = "reqwest012", feature = "ureq"))]
use std::io;
use std::{net::IpAddr, time::Duration};

use bytes::Bytes;

/// A request with its whole body. The extensions may contain a [`Timeout`]. A clone shares the body.
pub type Request = http::Request<Bytes>;

/// A response with its body, at most the first [`MAX_RESPONSE_BYTES`] of it, and less than the server
/// declared if the connection broke or the timeout passed meanwhile.
pub type Response = http::Response<Vec<u8>>;

/// Size limit of a response body in bytes: 1 MiB.
///
/// A transport truncates a longer body, without an error and without reading the rest.
pub const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Timeout of an exchange, from resolving the host to the last byte of the response.
///
/// ```
/// use std::time::Duration;
/// use telemetry_transport::{Request, Timeout};
///
/// let mut request = Request::default();
/// assert_eq!(Timeout::of(&request), Timeout::DEFAULT);
/// request.extensions_mut().insert(Timeout(Duration::from_secs(3)));
/// assert_eq!(Timeout::of(&request), Duration::from_secs(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timeout(pub Duration);

impl Timeout {
    /// The timeout of a request without this extension: 10 seconds, as in the Python SDK's guide.
    pub const DEFAULT: Duration = Duration::from_secs(10);

    /// The timeout of a request. Can be as long as [`Duration::MAX`].
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Duration {
        request.extensions().get().map_or(Self::DEFAULT, |Self(timeout)| *timeout)
    }
}

/// Extension of a request that may be processed twice.
///
/// If the server closes the connection before the head of a response has arrived, as it may close a kept
/// connection at any time, a transport may send such a request once more, on another connection and
/// within the same [`Timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotent;

impl Idempotent {
    #[cfg(any(feature = "hyper", feature = "reqwest", feature = "reqwest012", feature = "ureq"))]
    pub(crate) fn copy(request: &Request) -> Option<Request> {
        request.extensions().get::<Self>().map(|_| request.clone())
    }
}

#[cfg(any(feature = "hyper", feature = "reqwest", feature = "reqwest012", feature = "ureq"))]
pub(crate) const fn is_disconnect(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// Returns whether the host of a URL is this machine: `localhost`, or a loopback address with or
/// without brackets.
///
/// A transport must connect to such a host directly. The client sends the API key to it over plain
/// `http`, and a proxy would receive the key, and resolve the name to itself. No name is resolved here.
///
/// ```
/// use telemetry_transport::is_loopback;
///
/// assert!(is_loopback("localhost") && is_loopback("127.0.0.9") && is_loopback("[::1]"));
/// assert!(!is_loopback("localhost.example.com") && !is_loopback("192.168.0.1"));
/// ```
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse().map_or_else(
        |_| host.eq_ignore_ascii_case("localhost"),
        |address: IpAddr| address.is_loopback(),
    )
}

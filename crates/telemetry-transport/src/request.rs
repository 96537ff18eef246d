//! What goes in and what comes out.

use std::{net::IpAddr, time::Duration};

/// A request with its whole body. Its [`Timeout`] is among its extensions.
pub type Request = http::Request<Vec<u8>>;

/// An answer with its whole body, or the first [`MAX_RESPONSE_BYTES`] of it.
pub type Response = http::Response<Vec<u8>>;

/// The most bytes of an answer's body that a transport keeps: 1 MiB.
///
/// What is longer is cut off there and is an answer all the same: its status counts. The rest is
/// not read.
pub const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// How long an exchange may take, from the name look-up to the last byte of the answer.
///
/// ```
/// use std::{net::IpAddr, time::Duration};
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
    /// What a request without a time-out of its own gets: the guide's 10 seconds.
    pub const DEFAULT: Duration = Duration::from_secs(10);

    /// The time-out of a request.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Duration {
        request.extensions().get().map_or(Self::DEFAULT, |Self(timeout)| *timeout)
    }
}

/// Whether a host is this machine: `localhost`, or a loopback address, with or without brackets.
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

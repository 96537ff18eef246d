//! The trait of blocking transports.

use crate::{Request, Response, TransportError};

/// Sends one request to the server and waits for the response.
///
/// Implemented for closures:
///
/// ```
/// use telemetry_transport::{Request, Response, Transport, TransportError};
///
/// fn through_a_gateway(request: Request) -> Result<Response, TransportError> {
///     // … forward request.uri().path() and request.body() …
///     http::Response::builder().status(202).body(Vec::new()).map_err(TransportError::other)
/// }
///
/// let transport: &dyn Transport = &through_a_gateway;
/// let response = transport.send(http::Request::post("https://example.com/").body("".into())?)?;
/// assert_eq!(response.status(), 202);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Wrap a shared or boxed transport in a closure:
///
/// ```
/// # use telemetry_transport::{Request, Transport, TransportError, Response};
/// # fn example(recorder: std::sync::Arc<dyn Transport>) -> impl Transport {
/// move |request: Request| recorder.send(request)
/// # }
/// ```
///
/// # Implementing
///
/// A transport must
///
/// - accept simultaneous calls: the client sends events from its worker thread, and looks up
///   predictions from the threads of the application;
/// - send method, path, headers and body unchanged, and keep the `Authorization` header, which is
///   marked sensitive, out of logs, errors and requests to any other host;
/// - return every response, whatever its status, and not follow redirects, since the API key would go
///   with them;
/// - return a response whose head has arrived, with as much of the body as was read, also if the body
///   breaks off, is malformed or does not end within the timeout: status and headers decide whether and
///   when the client sends the events again;
/// - return [`TransportError::Timeout`] once the [`Timeout`](crate::Timeout) of the request has passed.
///   A client keeps its own deadlines regardless, but sends no other events until the call returns;
/// - return at most [`MAX_RESPONSE_BYTES`](crate::MAX_RESPONSE_BYTES) of a response body;
/// - connect directly, not through a proxy, to a [loopback](crate::is_loopback) host;
/// - not retry, except for an [idempotent](crate::Idempotent) request: the client does, as the server
///   wishes.
///
/// The client catches and counts a panic, and treats it as a failed attempt. In a program built with
/// `panic = "abort"`, a panic ends the program.
#[diagnostic::on_unimplemented(
    note = "wrap a shared or boxed transport in a closure, as shown in the documentation of the trait"
)]
pub trait Transport: Send + Sync {
    /// Sends a request and returns the response.
    ///
    /// # Errors
    ///
    /// No complete head of a response arrived. [Mapping errors](TransportError#mapping-errors) explains the
    /// variants.
    fn send(&self, request: Request) -> Result<Response, TransportError>;
}

impl<F> Transport for F
where
    F: Fn(Request) -> Result<Response, TransportError> + Send + Sync,
{
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        self(request)
    }
}

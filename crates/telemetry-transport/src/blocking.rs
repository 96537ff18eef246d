//! The seam for a thread.

use crate::{Request, Response, TransportError};

/// Carries one request to the server and waits for the answer.
///
/// Implemented for closures, so a gateway fits in a few lines:
///
/// ```
/// use telemetry_transport::{Request, Response, Transport, TransportError};
///
/// fn through_a_gateway(request: Request) -> Result<Response, TransportError> {
///     // … carry request.uri().path() and request.body() …
///     http::Response::builder().status(202).body(Vec::new()).map_err(TransportError::other)
/// }
///
/// let transport: &dyn Transport = &through_a_gateway;
/// let answer = transport.send(http::Request::post("https://example.com/").body(vec![])?)?;
/// assert_eq!(answer.status(), 202);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A type that is shared or boxed goes into a closure:
///
/// ```
/// # use telemetry_transport::{Request, Transport, TransportError, Response};
/// # fn example(recorder: std::sync::Arc<dyn Transport>) -> impl Transport {
/// move |request: Request| recorder.send(request)
/// # }
/// ```
///
/// # What an implementation owes
///
/// - **Room for several callers:** a client sends from its own thread, and asks for predictions from
///   whichever thread wants them.
/// - **The whole request:** method, path, headers and body as they are. The `Authorization` header
///   is marked sensitive; it must not reach a log, an error, or any host but the request's.
/// - **The answer as it is:** any status is an answer, and none an error. Redirects are not
///   followed: the key would go with them.
/// - **An end:** within the [`Timeout`](crate::Timeout) among the request's extensions, for the
///   whole exchange; [`TransportError::Timeout`] when it is over. A client waits no longer than its
///   own deadline whatever the transport does, but until it returns, no other events are sent.
/// - **A bound:** at most [`MAX_RESPONSE_BYTES`](crate::MAX_RESPONSE_BYTES) of the answer's body.
/// - **No retries:** they are the client's, which knows the server's wishes.
///
/// A panic costs one attempt: the client catches it, counts it, and goes on. In a program that is built
/// with `panic = "abort"`, it ends the program.
#[diagnostic::on_unimplemented(
    note = "what is shared or boxed goes into a closure, as the documentation of the trait shows"
)]
pub trait Transport: Send + Sync {
    /// Sends the request and returns the answer.
    ///
    /// # Errors
    ///
    /// There is no answer; [`TransportError`] says which variant means what.
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

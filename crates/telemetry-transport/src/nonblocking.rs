//! The trait of asynchronous transports.

use std::pin::Pin;

use crate::{Request, Response, TransportError};

/// The future of [`AsyncTransport::send`].
pub type ResponseFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'a>>;

/// Sends one request to the server without blocking a thread.
///
/// The requirements are those of [`Transport`](crate::Transport#implementing). In addition, dropping
/// the future must cancel the request. A transport that needs a certain runtime should document it.
///
/// Implemented for closures that return a future:
///
/// ```
/// use telemetry_transport::{AsyncTransport, Request, TransportError};
///
/// let transport = |request: Request| async move {
///     let length = request.into_body().len();
///     http::Response::builder().body(vec![0; length]).map_err(TransportError::other)
/// };
///
/// fn accepts(_: impl AsyncTransport) {}
/// accepts(transport);
/// ```
///
/// Wrap a shared or boxed transport in a closure:
///
/// ```
/// # use std::sync::Arc;
/// # use telemetry_transport::{AsyncTransport, Request};
/// # fn example(shared: Arc<dyn AsyncTransport>) -> impl AsyncTransport {
/// move |request: Request| {
///     let shared = Arc::clone(&shared);
///     async move { shared.send(request).await }
/// }
/// # }
/// ```
#[diagnostic::on_unimplemented(
    note = "wrap a shared or boxed transport in a closure, as shown in the documentation of the trait"
)]
pub trait AsyncTransport: Send + Sync {
    /// Sends a request and returns the response.
    ///
    /// # Errors
    ///
    /// No complete head of a response arrived. [Mapping errors](TransportError#mapping-errors) explains the
    /// variants.
    fn send(&self, request: Request) -> ResponseFuture<'_>;
}

impl<F, R> AsyncTransport for F
where
    F: Fn(Request) -> R + Send + Sync,
    R: Future<Output = Result<Response, TransportError>> + Send + 'static,
{
    fn send(&self, request: Request) -> ResponseFuture<'_> {
        Box::pin(self(request))
    }
}

//! The seam for an asynchronous runtime.

use std::pin::Pin;

use crate::{Request, Response, TransportError};

/// The answer to come.
pub type ResponseFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'a>>;

/// Carries one request to the server without holding up a thread.
///
/// Owes what [`Transport`](crate::Transport) owes. Implemented for closures that return a future:
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
/// A transport that is shared goes into a closure:
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
///
/// Dropping the future gives up the request. The runtime is the implementation's own affair: a
/// transport that needs one must say which.
#[diagnostic::on_unimplemented(
    note = "what is shared or boxed goes into a closure, as the documentation of the trait shows"
)]
pub trait AsyncTransport: Send + Sync {
    /// Sends the request and returns the answer.
    ///
    /// # Errors
    ///
    /// There is no answer; [`TransportError`] says which variant means what.
    fn send(&self, request: Request) -> ResponseFuture<'_>;
}

impl<F, A> AsyncTransport for F
where
    F: Fn(Request) -> A + Send + Sync,
    A: Future<Output = Result<Response, TransportError>> + Send + 'static,
{
    fn send(&self, request: Request) -> ResponseFuture<'_> {
        Box::pin(self(request))
    }
}

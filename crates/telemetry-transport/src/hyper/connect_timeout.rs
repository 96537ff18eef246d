//! A connector with a timeout.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use http::Uri;
use tokio::time;
use tower_service::Service;

use crate::Timeout;

/// Limits connecting, which includes resolving the host, the tunnel and TLS, to
/// [`Timeout::DEFAULT`].
//
// The timeout of the request is not enough: hyper-util keeps connecting in the background if the
// request was sent over another connection that became idle in the meantime.
#[derive(Clone, Debug)]
pub(super) struct ConnectTimeout<C>(pub(super) C);

type BoxError = Box<dyn Error + Send + Sync>;

impl<C> Service<Uri> for ConnectTimeout<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let connection = time::timeout(Timeout::DEFAULT, connecting).await;
            connection.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    #[derive(Clone)]
    struct Never;

    impl Service<Uri> for Never {
        type Response = ();
        type Error = io::Error;
        type Future = future::Pending<io::Result<()>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            future::pending()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pending_connection_times_out() {
        let error = ConnectTimeout(Never).call(Uri::from_static("http://any")).await.unwrap_err();
        let kind = error.downcast_ref().map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::TimedOut));
    }
}

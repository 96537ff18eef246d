//! Connections that are made in time, or not at all.

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

/// Bounds all that it takes to make a connection: look-up, tunnel and TLS. The time-out of a request
/// does not, when the request goes over another connection that has become free meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Bounded<C>(pub(super) C);

type BoxError = Box<dyn Error + Send + Sync>;

impl<C> Service<Uri> for Bounded<C>
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
    struct Silent;

    impl Service<Uri> for Silent {
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
    async fn what_does_not_get_ready_ends() {
        let error = Bounded(Silent).call(Uri::from_static("http://any")).await.unwrap_err();
        let kind = error.downcast_ref().map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::TimedOut));
    }
}

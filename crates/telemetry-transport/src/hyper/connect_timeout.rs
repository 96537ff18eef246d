//! Connectors that keep to the timeout of the request.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::{task_local, time};
use tower_service::Service;

use super::resolver::Resolver;
use crate::Timeout;

task_local! {
    /// Timeout of the request that the task sends. hyper-util passes only the URL to a connector.
    static TIMEOUT: Duration;
}

/// Longest wait for an address before one of the other family is tried at the same time.
const FALLBACK_DELAY: Duration = Duration::from_millis(300);

/// Awaits `request`, and gives connectors that it calls its timeout.
pub(super) async fn with_timeout<F: Future>(timeout: Duration, request: F) -> F::Output {
    TIMEOUT.scope(timeout, request).await
}

fn timeout() -> Duration {
    TIMEOUT.try_with(|timeout| *timeout).unwrap_or(Timeout::DEFAULT)
}

/// Shares the timeout of the request among the addresses of a host, so that one that does not answer
/// leaves time for the next.
#[derive(Clone, Debug)]
pub(super) struct TcpConnector(pub(super) HttpConnector<Resolver>);

impl Service<Uri> for TcpConnector {
    type Response = <HttpConnector<Resolver> as Service<Uri>>::Response;
    type Error = <HttpConnector<Resolver> as Service<Uri>>::Error;
    type Future = <HttpConnector<Resolver> as Service<Uri>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let timeout = timeout();
        let mut http = self.0.clone();
        // Divided by the number of addresses.
        http.set_connect_timeout(Some(timeout));
        http.set_happy_eyeballs_timeout(Some(FALLBACK_DELAY.min(timeout / 4)));
        http.call(uri)
    }
}

/// Limits connecting, which includes resolving the host, the tunnel and TLS, to the timeout of the
/// request.
//
// The timeout around the request is not enough: hyper-util keeps connecting in the background if the
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
        let connecting = time::timeout(timeout(), self.0.call(uri));
        Box::pin(async move {
            let connection = connecting.await;
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
    async fn pending_connection_times_out_with_its_request() {
        let start = time::Instant::now();
        let connect = || ConnectTimeout(Never).call(Uri::from_static("http://any"));
        let error = TIMEOUT.sync_scope(Duration::from_secs(3), connect).await.unwrap_err();
        let kind = error.downcast_ref().map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::TimedOut));
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }
}

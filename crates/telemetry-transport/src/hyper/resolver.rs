//! Host name resolution on dedicated threads.

use std::{
    fmt,
    future::Future,
    io,
    net::{SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread, vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::{Semaphore, oneshot};
use tower_service::Service;

/// Number of simultaneous lookups. Further ones wait.
const MAX_LOOKUPS: usize = 4;

/// Resolves each host on a new thread.
//
// tokio's blocking threads would delay the shutdown of the runtime, which waits for them, until a
// hanging lookup ends.
#[derive(Clone)]
pub(crate) struct Resolver {
    permits: Arc<Semaphore>,
    lookup: Arc<Lookup>,
}

type Lookup = dyn Fn(&str) -> io::Result<Addresses> + Send + Sync;

type Addresses = vec::IntoIter<SocketAddr>;

impl Resolver {
    /// `lookup` may block.
    pub(crate) fn new(
        lookup: impl Fn(&str) -> io::Result<Addresses> + Send + Sync + 'static,
    ) -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_LOOKUPS)), lookup: Arc::new(lookup) }
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|host| (host, 0).to_socket_addrs())
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Service<Name> for Resolver {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (permits, lookup) = (Arc::clone(&self.permits), Arc::clone(&self.lookup));
        Box::pin(async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            let (sender, receiver) = oneshot::channel();
            thread::Builder::new().name("telemetry-lookup".into()).spawn(move || {
                // The receiver may be gone: the request timed out or was cancelled.
                drop(sender.send(lookup(name.as_str())));
                drop(permit);
            })?;
            receiver.await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Waker};

    use super::*;

    #[tokio::test]
    async fn lookup_waits_for_a_permit_and_returns_it() {
        let mut resolver = Resolver::default();
        let permits = Arc::clone(&resolver.permits);
        let hanging = permits.acquire_many(MAX_LOOKUPS as u32).await.unwrap();
        let mut lookup = pin!(resolver.call("localhost".parse().unwrap()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(lookup.as_mut().poll(&mut cx).is_pending());
        drop(hanging);
        assert!(lookup.await.unwrap().all(|address| address.ip().is_loopback()));
        let all = permits.acquire_many(MAX_LOOKUPS as u32).await;
        assert!(all.is_ok());
    }
}

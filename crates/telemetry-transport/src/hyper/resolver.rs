//! Looking names up on threads of our own.

use std::{
    future::Future,
    io,
    net::{SocketAddr, ToSocketAddrs},
    pin::Pin,
    task::{Context, Poll},
    thread, vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::oneshot;
use tower_service::Service;

/// A look-up that hangs must not hold up the end of the runtime, which waits for its own threads for
/// blocking work.
#[derive(Clone, Debug)]
pub(super) struct Resolver;

type Addresses = vec::IntoIter<SocketAddr>;

impl Service<Name> for Resolver {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (sender, receiver) = oneshot::channel();
        let named = thread::Builder::new().name("telemetry-lookup".into());
        let spawned = named.spawn(move || {
            // Nobody may wait for it any more.
            drop(sender.send((name.as_str(), 0).to_socket_addrs()));
        });
        Box::pin(async move {
            spawned?;
            receiver.await.map_err(io::Error::other)?
        })
    }
}

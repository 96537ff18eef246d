//! Looking names up on threads of our own.

use std::{
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

/// How many look-ups may hang at the same time; others wait for their turn.
const MAX_LOOK_UPS: usize = 4;

/// A look-up that hangs must not hold up the end of the runtime, which waits for its own threads for
/// blocking work.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    turns: Arc<Semaphore>,
}

type Addresses = vec::IntoIter<SocketAddr>;

impl Resolver {
    pub(super) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(MAX_LOOK_UPS)) }
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
        let turns = Arc::clone(&self.turns);
        Box::pin(async move {
            let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
            let (sender, receiver) = oneshot::channel();
            let named = thread::Builder::new().name("telemetry-lookup".into());
            named.spawn(move || {
                // Nobody may wait for it any more.
                drop(sender.send((name.as_str(), 0).to_socket_addrs()));
                drop(turn);
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
    async fn look_ups_wait_for_their_turn() {
        let mut resolver = Resolver::new();
        let turns = Arc::clone(&resolver.turns);
        let hanging = turns.acquire_many(MAX_LOOK_UPS as u32).await.unwrap();
        let mut look_up = pin!(resolver.call("localhost".parse().unwrap()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(look_up.as_mut().poll(&mut cx).is_pending());
        drop(hanging);
        assert!(look_up.await.unwrap().all(|address| address.ip().is_loopback()));
        // The thread gives its turn back when it ends.
        let all = turns.acquire_many(MAX_LOOK_UPS as u32).await;
        assert!(all.is_ok());
    }
}

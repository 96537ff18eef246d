//! Asynchronous transports and their runtimes.

use std::{
    io::Read,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Waker},
    thread::{self, JoinHandle},
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::spawn_blocking,
};

use super::{
    post,
    server::{read_request, server},
};
use crate::{AsyncTransport, Transport, TransportError};

/// A transport with a dedicated runtime, which runs until the transport is dropped.
pub(super) fn block_on(transport: impl AsyncTransport + Clone + 'static) -> Box<dyn Transport> {
    let runtime = runtime(&mut Builder::new_current_thread());
    let handle = runtime.handle().clone();
    let (alive, dropped) = oneshot::channel::<()>();
    thread::spawn(move || runtime.block_on(dropped));
    Box::new(move |request| {
        assert!(!alive.is_closed(), "the runtime is running");
        let (sender, receiver) = mpsc::channel();
        let transport = transport.clone();
        handle.spawn(async move { sender.send(transport.send(request).await) });
        receiver.recv().unwrap()
    })
}

pub(super) fn runtime(builder: &mut Builder) -> Runtime {
    builder.enable_all().build().unwrap()
}

/// Waits for a server without blocking the runtime, which drives the connections of the client.
pub(super) async fn join<T: Send + 'static>(server: JoinHandle<Vec<T>>) -> Vec<T> {
    spawn_blocking(|| server.join().unwrap()).await.unwrap()
}

/// One of each type.
fn transports() -> Vec<Arc<dyn AsyncTransport>> {
    fn shared(transport: impl AsyncTransport + 'static) -> Arc<dyn AsyncTransport> {
        Arc::new(transport)
    }
    Vec::from([
        #[cfg(feature = "hyper")]
        shared(crate::HyperTransport::new()),
        #[cfg(feature = "reqwest")]
        shared(super::reqwest::v0_13::transport(Default::default())),
        #[cfg(feature = "reqwest012")]
        shared(super::reqwest::v0_12::transport(Default::default())),
    ])
}

#[test]
fn without_a_runtime_sending_is_an_error() {
    for transport in transports() {
        let mut response = transport.send(post("http://127.0.0.1:9/v1"));
        let polled = response.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Err(TransportError::Other(_)))), "{polled:?}");
    }
}

#[tokio::test]
async fn dropped_future_closes_its_connection() {
    for transport in transports() {
        let (arrived, arrival) = oneshot::channel();
        let arrived = Mutex::new(Some(arrived));
        let (url, server) = server(1, move |mut stream| {
            read_request(&mut stream);
            arrived.lock().unwrap().take().unwrap().send(()).unwrap();
            stream.read_to_end(&mut Vec::new()).is_ok()
        });
        // Kept, since dropping the last clone would close the connection as well.
        let clone = Arc::clone(&transport);
        let sending = tokio::spawn(async move { clone.send(post(&url)).await });
        arrival.await.unwrap();
        sending.abort();
        assert!(sending.await.unwrap_err().is_cancelled());
        assert_eq!(join(server).await, [true]);
        drop(transport);
    }
}

//! The thread of a collector, and the connections that it accepts.

use std::{
    io,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
#[cfg(feature = "keys")]
use tokio_io_timeout::TimeoutStream;

#[cfg(feature = "tls")]
use crate::FailedHandshake;
use crate::{
    InjectedFault,
    connection::{Connection, serve_http},
    fault::ConnectionFault,
    shared::Shared,
};

/// The interval between attempts to accept while the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The longest TLS handshake, if connections are limited.
#[cfg(feature = "tls")]
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest pause of a client that reads a response, if connections are limited.
#[cfg(feature = "keys")]
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves until `stopped` resolves, then closes every connection. Sends the result of the start to
/// `started`.
pub(crate) fn run(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    started: &mpsc::SyncSender<io::Result<()>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime =
        match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => return started.send(Err(error)).unwrap_or_default(),
        };
    runtime.block_on(async move {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return started.send(Err(error)).unwrap_or_default(),
        };
        tokio::spawn(accept(listener, shared));
        started.send(Ok(())).unwrap_or_default();
        // The sender is dropped without a message, so this is always an error.
        stopped.await.unwrap_or_default();
    });
    // Dropping the runtime drops its tasks and closes their sockets.
}

/// Accepts connections until the runtime is dropped; each is served by its own task.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                #[cfg(feature = "keys")]
                let slot = match shared.limits.as_ref().map(|limits| limits.admit(peer.ip())) {
                    Some(None) => {
                        shared.update(|store| store.record_refused_connection());
                        continue;
                    }
                    slot => slot.flatten(),
                };
                let (number, fault) = shared.update(|store| store.record_connection());
                let connection =
                    Connection { number, peer: peer.ip(), shared: Arc::clone(&shared) };
                tokio::spawn(async move {
                    serve(stream, connection, fault).await;
                    #[cfg(feature = "keys")]
                    drop(slot);
                });
            }
            // The client has gone, or there is no file descriptor, which can last.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves a connection to its end, a fault and the TLS handshake first.
async fn serve(stream: TcpStream, connection: Connection, fault: Option<ConnectionFault>) {
    if let Some(fault) = fault {
        if let Some(callback) = &connection.shared.callbacks.fault {
            let fault = fault.to_string();
            callback(&InjectedFault { connection: connection.number, request: None, fault });
        }
        match fault {
            ConnectionFault::Close => return,
            ConnectionFault::Delay(delay) => tokio::time::sleep(delay).await,
        }
    }
    // With Nagle's algorithm, a small response would wait for an acknowledgement. An error only
    // costs that time.
    let _ = stream.set_nodelay(true);
    #[cfg(feature = "keys")]
    if connection.shared.has_limits() {
        let mut stream = TimeoutStream::new(stream);
        // Reads have other limits, since a connection may wait for its response.
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        return serve_stream(Box::pin(stream), connection).await;
    }
    serve_stream(stream, connection).await;
}

/// Serves a connection, its TLS handshake first.
async fn serve_stream<S>(stream: S, connection: Connection)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    #[cfg(feature = "tls")]
    if let Some(tls) = &connection.shared.tls {
        let accepted = connection.shared.within(HANDSHAKE_TIMEOUT, tls.accept(stream)).await;
        return match accepted.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => serve_http(stream, connection).await,
            Err(error) => {
                connection.shared.update(|store| store.record_failed_handshake());
                if let Some(callback) = &connection.shared.callbacks.failed_handshake {
                    let reason = error.to_string();
                    callback(&FailedHandshake { connection: connection.number, reason });
                }
            }
        };
    }
    serve_http(stream, connection).await;
}

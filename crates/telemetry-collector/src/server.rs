//! The thread of a collector, and the connections that it accepts.

#[cfg(feature = "keys")]
use std::pin::Pin;
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
        return serve_stream(with_write_timeout(stream), connection).await;
    }
    serve_stream(stream, connection).await;
}

/// Fails when its peer does not read for [`WRITE_TIMEOUT`]. Reads have other limits, since a connection may wait for
/// its response.
#[cfg(feature = "keys")]
fn with_write_timeout<S: AsyncRead + AsyncWrite>(stream: S) -> Pin<Box<TimeoutStream<S>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    Box::pin(stream)
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

#[cfg(all(test, feature = "keys"))]
mod tests {
    use std::num::NonZeroU32;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        time::Instant,
    };

    use super::*;
    use crate::{
        access::{Access, SingleKey},
        key_access::KeyAccess,
        keys::KeyFile,
        shared::Callbacks,
        store::Store,
    };

    fn shared(access: Access) -> Shared {
        Shared::new(
            access,
            Callbacks::default(),
            Store::new(1, 1),
            #[cfg(feature = "tls")]
            None,
            #[cfg(feature = "_database")]
            None,
        )
    }

    fn limited() -> Shared {
        let access = KeyAccess::new(KeyFile::of(""), NonZeroU32::MAX, false);
        shared(Access::Keys(Box::new(access)))
    }

    fn unlimited() -> Shared {
        shared(Access::Single(SingleKey { api_key: None, instance: None }))
    }

    /// Runs `client` on the other end of a connection, whose clock is paused: it advances when both sides wait.
    fn exchange<F: Future>(shared: Shared, client: impl FnOnce(DuplexStream) -> F) -> F::Output {
        let shared = Arc::new(shared);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().expect("a runtime").block_on(async {
            let (stream, server) = tokio::io::duplex(1_000);
            let connection = Connection { number: 1, peer: [127, 0, 0, 1].into(), shared };
            tokio::spawn(serve_stream(with_write_timeout(server), connection));
            client(stream).await
        })
    }

    /// The seconds until the server closes the connection of a client that sends `first`, and one of `rest` each
    /// second; at most an hour.
    fn seconds_to_close(shared: Shared, first: &'static [u8], rest: &'static [u8]) -> u64 {
        exchange(shared, async |stream: DuplexStream| {
            let start = Instant::now();
            let (mut reader, mut writer) = tokio::io::split(stream);
            tokio::spawn(async move {
                writer.write_all(first).await.expect("the server reads");
                for byte in rest.iter().cycle() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if writer.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
                // Keeps the connection open.
                std::future::pending::<()>().await;
            });
            let mut read = Vec::new();
            let end = reader.read_to_end(&mut read);
            let _ = tokio::time::timeout(Duration::from_secs(3600), end).await;
            start.elapsed().as_secs()
        })
    }

    #[test]
    fn idle_and_slow_clients_are_disconnected_if_connections_are_limited() {
        let upload = b"POST /v1/predictions/batch HTTP/1.1\r\ncontent-length: 9000\r\n\r\n";
        let oversized = b"POST /v1/predictions/batch HTTP/1.1\r\ncontent-length: 900000\r\n\r\n";
        for (first, rest, seconds) in [
            (&b""[..], &b""[..], 75),
            (b"GET /health HTTP/1.1\r\n", b"", 75),
            (b"GET /health HTTP/1.1\r\n", b"a: b\r\n", 75),
            (b"GET /health HTTP/1.1\r\n\r\n", b"", 75),
            (upload, b"", 30),
            (upload, b" ", 30),
            (oversized, b"", 30),
            (oversized, b" ", 30),
        ] {
            let case = String::from_utf8_lossy(first);
            assert_eq!(seconds_to_close(limited(), first, rest), seconds, "{case:?}");
            assert_eq!(seconds_to_close(unlimited(), first, rest), 3600, "{case:?}");
        }
    }

    #[test]
    fn client_that_does_not_read_is_disconnected() {
        let seconds = exchange(limited(), async |mut stream: DuplexStream| {
            let start = Instant::now();
            let requests = b"GET /health HTTP/1.1\r\n\r\n".repeat(10_000);
            assert!(stream.write_all(&requests).await.is_err());
            start.elapsed().as_secs()
        });
        assert_eq!(seconds, 30);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn client_that_does_not_finish_its_handshake_is_disconnected() {
        use crate::tls::{Identity, Tls};

        for (mut shared, seconds) in [(limited(), 10), (unlimited(), 3600)] {
            let tls = Tls::new(Identity::Generated(crate::Certificate::Valid));
            shared.tls = Some(tls.unwrap());
            assert_eq!(seconds_to_close(shared, b"\x16\x03\x01", b""), seconds);
        }
    }
}

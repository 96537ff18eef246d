//! A thread of its own, and the connections it takes.

use std::{
    io,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

#[cfg(feature = "tls")]
use crate::FailedHandshake;
use crate::{
    InjectedFault,
    connection::{Connection, converse},
    fault::ConnectionFault,
    shared::Shared,
};

/// How long accepting pauses when there is no room for one more socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stopped` resolves, then ends every connection. Says in `started` whether it
/// serves.
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
        // The sender is dropped, never used: either result means the same.
        stopped.await.unwrap_or_default();
    });
    // Dropping the runtime drops its tasks, and with them the sockets.
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (number, fault) = shared.update(|store| store.connected());
                let connection = Connection { number, shared: Arc::clone(&shared) };
                tokio::spawn(serve(stream, connection, fault));
            }
            // Either the client has gone, or there is no room for a socket, which can last.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves one connection to its end.
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
    // Without it, answers wait for acknowledgements; where it cannot be set, they come later.
    let _ = stream.set_nodelay(true);
    #[cfg(feature = "tls")]
    if let Some(tls) = &connection.shared.tls {
        return match tls.accept(stream).await {
            Ok(stream) => converse(stream, connection).await,
            Err(error) => {
                connection.shared.update(|store| store.handshake_failed());
                if let Some(callback) = &connection.shared.callbacks.handshake {
                    let reason = error.to_string();
                    callback(&FailedHandshake { connection: connection.number, reason });
                }
            }
        };
    }
    converse(stream, connection).await;
}

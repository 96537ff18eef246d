//! HTTP/1.1 on a thread of its own.

use std::{
    io,
    sync::{Arc, mpsc},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use telemetry_model::MAX_BATCH_BYTES;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::{
    Answer, Authorization, Received, Refusal,
    faults::{Behavior, Closed},
    routes::{self, Question, Reply},
    shared::Shared,
};

/// The most bytes of a request's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most bytes that are read and thrown away of a body that is too large.
const MAX_DISCARDED_BYTES: usize = 10 * MAX_BATCH_BYTES;

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
    let mut connection = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connection += 1;
                tokio::spawn(converse(stream, connection, Arc::clone(&shared)));
            }
            // Either the client has gone, or there is no room for a socket, which can last.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves one connection to its end.
async fn converse(stream: TcpStream, connection: u64, shared: Arc<Shared>) {
    // Without it, answers wait for acknowledgements; where it cannot be set, they come later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, connection, request).await }
    });
    let mut http = http1::Builder::new();
    let served = http.max_buf_size(MAX_HEAD_BYTES).serve_connection(TokioIo::new(stream), service);
    // The client has gone or spoke no HTTP, or the connection was closed on request.
    let _ = served.await;
}

async fn answer(
    shared: &Shared,
    connection: u64,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let awaits_go_ahead = head.headers.contains_key(header::EXPECT);
    let body = read(body, awaits_go_ahead).await.map_err(|_| Closed)?;
    let authorization = Authorization::of(&head.headers, shared.api_key.as_deref());
    let received =
        Received::new(connection, &head, authorization, body.clone().unwrap_or_default());
    let path = received.path.clone();
    let script = shared.update(|store| store.arrived(received));

    let question = Question {
        method: &head.method,
        path: head.uri.path(),
        authorization,
        body: body.as_deref(),
    };
    let reply = work_out(shared, &question, &script);
    if !reply.status.is_success() && script.is_given() {
        shared.update(|store| store.refused());
        if let Some(hook) = &shared.hooks.refusal {
            hook(&Refusal {
                method: head.method.clone(),
                path,
                status: reply.status,
                reason: reply.reason().into(),
            });
        }
    }
    script.give(reply.into_response()).await
}

fn work_out(shared: &Shared, question: &Question<'_>, script: &Answer) -> Reply {
    match script.behavior {
        Behavior::Normal | Behavior::CloseAfterTaking => routes::respond(shared, question),
        Behavior::Status(status) => Reply::error(status, "scripted"),
        // Never sent.
        Behavior::Close | Behavior::Never => Reply::error(StatusCode::OK, ""),
    }
}

/// The body, or none if it has more than [`MAX_BATCH_BYTES`].
async fn read(mut body: Incoming, awaits_go_ahead: bool) -> hyper::Result<Option<Bytes>> {
    let mut bytes = Vec::new();
    let mut fits = body.size_hint().lower() <= MAX_BATCH_BYTES as u64;
    while fits && let Some(frame) = body.frame().await {
        // Trailers are not data; they mean nothing here.
        if let Ok(data) = frame?.into_data() {
            fits = bytes.len() + data.len() <= MAX_BATCH_BYTES;
            if fits {
                bytes.extend_from_slice(&data);
            }
        }
    }
    if fits {
        bytes.shrink_to_fit();
        return Ok(Some(bytes.into()));
    }
    // A client that is still sending would see a broken connection in place of the answer. One
    // that awaits a go-ahead is not sending.
    if !awaits_go_ahead {
        tokio::spawn(discard(body));
    }
    Ok(None)
}

async fn discard(mut body: Incoming) {
    let mut discarded = 0;
    while discarded <= MAX_DISCARDED_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        discarded += frame.data_ref().map_or(0, Bytes::len);
    }
}

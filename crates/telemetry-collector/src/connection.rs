//! One connection: HTTP/1.1 by hyper, until an answer is to be written by hand.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::{self, Future},
    pin::Pin,
    sync::Arc,
    task::Poll,
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
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

use crate::{
    Authorization, InjectedFault, RecordedRequest, Refusal, ResponseTemplate,
    response_template::Behavior,
    routes::{self, ApiRequest, ApiResponse},
    shared::Shared,
    store::Store,
    wire::{BodySource, RawResponse},
};

/// The most bytes of a request's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most bytes that are read and thrown away of a body that is too large.
const MAX_DISCARDED_BYTES: usize = 10 * MAX_BATCH_BYTES;

#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) shared: Arc<Shared>,
}

/// Serves a connection to its end.
pub(crate) async fn converse<S>(stream: S, connection: Connection)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (take_over, mut taken_over) = mpsc::channel(1);
    let service = service_fn(move |request| {
        let (connection, take_over) = (connection.clone(), take_over.clone());
        async move {
            match connection.answer(request).await? {
                Given::Response(response) => Ok::<_, Closed>(response),
                Given::RawResponse(answer) => {
                    // There is one request at a time, and this is the last.
                    let _ = take_over.try_send(answer);
                    match future::pending::<Infallible>().await {}
                }
            }
        }
    });
    let mut http = http1::Builder::new();
    let mut served =
        http.max_buf_size(MAX_HEAD_BYTES).serve_connection(TokioIo::new(stream), service);
    let by_hand: Option<RawResponse> = future::poll_fn(|context| {
        // The client has gone or spoke no HTTP, or the connection was closed on request.
        if Pin::new(&mut served).poll(context).is_ready() {
            return Poll::Ready(None);
        }
        taken_over.poll_recv(context)
    })
    .await;
    if let Some(answer) = by_hand {
        answer.send(served.into_parts().io.into_inner()).await;
    }
}

enum Given {
    Response(Response<Full<Bytes>>),
    RawResponse(RawResponse),
}

impl Connection {
    async fn answer(&self, request: Request<Incoming>) -> Result<Given, Closed> {
        let shared = &*self.shared;
        let (head, body) = request.into_parts();
        let awaits_go_ahead = head.headers.contains_key(header::EXPECT);
        let body = read(body, awaits_go_ahead).await.map_err(|_| Closed)?;
        let authorization = Authorization::of(&head.headers, shared.api_key.as_deref());
        // Requests are booked by this thread alone, so that no other gets this number.
        let number = shared.read(Store::totals).requests + 1;
        let received = RecordedRequest::new(
            (number, shared.elapsed()),
            self.number,
            &head,
            authorization,
            body.clone().unwrap_or_default(),
        );
        let path = received.path.clone();
        let seen = shared.callbacks.request.as_ref().map(|callback| (callback, received.clone()));
        let answer = shared.update(|store| store.arrived(received));
        if let Some((callback, received)) = seen {
            callback(&received);
        }
        if let Some(callback) = shared.callbacks.fault.as_ref().filter(|_| !answer.is_usual()) {
            callback(&InjectedFault {
                connection: self.number,
                request: Some((number, head.method.clone(), path.clone())),
                fault: answer.to_string(),
            });
        }

        let question = ApiRequest {
            method: &head.method,
            path: head.uri.path(),
            authorization,
            body: body.as_deref(),
        };
        let reply = work_out(shared, &question, &answer);
        if !reply.status.is_success() && answer.is_given() {
            shared.update(|store| store.refused());
            if let Some(callback) = &shared.callbacks.refusal {
                callback(&Refusal {
                    method: head.method.clone(),
                    path: path.clone(),
                    status: reply.status,
                    reason: reply.reason().into(),
                    is_injected: matches!(answer.behavior, Behavior::Status(_)),
                });
            }
        }
        give(answer, reply, &head.method, &path).await
    }
}

fn work_out(shared: &Shared, question: &ApiRequest<'_>, answer: &ResponseTemplate) -> ApiResponse {
    match answer.behavior {
        Behavior::Normal | Behavior::CloseAfterProcessing => routes::respond(shared, question),
        Behavior::Status(status) => ApiResponse::error(status, "scripted"),
        // Never sent.
        Behavior::Close | Behavior::Hang => ApiResponse::error(StatusCode::OK, ""),
    }
}

/// Does what `answer` says, given the reply that was worked out for a request for `path`.
async fn give(
    answer: ResponseTemplate,
    reply: ApiResponse,
    method: &http::Method,
    path: &str,
) -> Result<Given, Closed> {
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    match answer.behavior {
        Behavior::Close | Behavior::CloseAfterProcessing => return Err(Closed),
        Behavior::Hang => match future::pending::<Infallible>().await {},
        Behavior::Normal | Behavior::Status(_) => {}
    }
    let (mut parts, body) = reply.into_parts();
    parts.headers.extend(answer.location(path).map(|url| (header::LOCATION, url)));
    for (name, value) in &answer.headers {
        parts.headers.insert(name, value.clone());
    }
    let is_by_hand = answer.is_by_hand();
    Ok(match answer.content.unwrap_or(BodySource::Bytes(body)) {
        BodySource::Bytes(body) if !is_by_hand => {
            Given::Response(Response::from_parts(parts, Full::new(body)))
        }
        content => Given::RawResponse(RawResponse::new(method, &parts, content, answer.manner)),
    })
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

/// Makes hyper close the connection without an answer.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed without an answer")
    }
}

impl Error for Closed {}

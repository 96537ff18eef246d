//! One connection: HTTP/1.1 by hyper, until a response has to be written byte by byte.
//!
//! A request is read, recorded, processed and answered in this order; the callbacks run in between.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::{self, Future},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request};
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use telemetry_model::MAX_BATCH_BYTES;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

#[cfg(feature = "page")]
use crate::page;
use crate::{
    InjectedFault, RecordedRequest, Refusal, ResponseTemplate,
    raw_response::RawResponse,
    reply::{Reply, ReplyStream},
    response_template::Behavior,
    routes::{self, ApiRequest, ApiResponse},
    shared::Shared,
    store::Store,
    wire::BodySource,
};

/// The most bytes of a request's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most bytes that are read and discarded of a body that is too large.
const MAX_DISCARDED_BYTES: usize = 10 * MAX_BATCH_BYTES;

/// The longest time for the body of a request, if connections are limited.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest wait for the head of a request, from the end of the previous one, if connections are limited: an idle
/// connection ends as well. Longer than the 60 s for which nginx keeps one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) number: u64,
    /// The address of the other end.
    pub(crate) peer: IpAddr,
    pub(crate) shared: Arc<Shared>,
}

/// Serves a connection to its end.
pub(crate) async fn serve_http<S>(stream: S, connection: Connection)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let has_limits = connection.shared.has_limits();
    let (take_over, mut taken_over) = mpsc::channel(1);
    let service = service_fn(move |request| {
        let (connection, take_over) = (connection.clone(), take_over.clone());
        async move {
            match connection.respond(request).await? {
                Prepared::Response(response) => Ok::<_, Closed>(response),
                Prepared::Raw(response) => {
                    // Never full: there is one request at a time, and this is the last.
                    let _ = take_over.try_send(response);
                    match future::pending::<Infallible>().await {}
                }
            }
        }
    });
    let mut http = http1::Builder::new();
    if has_limits {
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    }
    let mut served =
        http.max_buf_size(MAX_HEAD_BYTES).serve_connection(TokioIo::new(stream), service);
    let raw_response: Option<RawResponse> = future::poll_fn(|context| {
        // The client has gone or sent no HTTP, or a template closed the connection.
        if Pin::new(&mut served).poll(context).is_ready() {
            return Poll::Ready(None);
        }
        taken_over.poll_recv(context)
    })
    .await;
    if let Some(response) = raw_response {
        response.send(served.into_parts().io.into_inner()).await;
    }
}

/// A response, by its sender.
enum Prepared {
    Response(Response<Either<Full<Bytes>, ReplyStream>>),
    Raw(RawResponse),
}

impl Connection {
    /// Records and processes a request, and runs its callbacks. An error closes the connection.
    async fn respond(&self, request: Request<Incoming>) -> Result<Prepared, Closed> {
        let shared = &self.shared;
        let (head, body) = request.into_parts();
        let awaits_continue = head.headers.contains_key(header::EXPECT);
        // Before the body, whose size is limited by the permissions.
        let caller = shared.caller(&head.headers, self.peer);
        let body = self.read(body, caller.max_body, awaits_continue).await?;
        // Unique, because only this thread records requests.
        let number = shared.read(Store::totals).requests + 1;
        let recorded = RecordedRequest::new(
            (number, shared.elapsed()),
            self.number,
            &head,
            caller.authorization,
            body.clone().unwrap_or_default(),
        );
        let path = recorded.path.clone();
        let callback = shared.callbacks.request.as_ref().map(|it| (it, recorded.clone()));
        let is_for_page = is_for_page(&head);
        let template = shared.update(|store| store.record_request(recorded, !is_for_page));
        if let Some((callback, recorded)) = callback {
            callback(&recorded);
        }
        if let Some(callback) = shared.callbacks.fault.as_ref().filter(|_| !template.is_unchanged())
        {
            callback(&InjectedFault {
                connection: self.number,
                request: Some((number, head.method.clone(), path.clone())),
                fault: template.to_string(),
            });
        }

        let request = ApiRequest {
            method: &head.method,
            path: head.uri.path(),
            headers: &head.headers,
            caller: &caller,
            body: body.as_deref(),
        };
        let reply: Reply = match template.behavior {
            #[cfg(feature = "page")]
            Behavior::Normal | Behavior::CloseAfterProcessing if is_for_page => {
                page::respond(&self.shared, &head).await
            }
            _ => process(shared, &request, &template).await.into(),
        };
        if !reply.parts.status.is_success() && template.has_response() {
            shared.update(|store| store.record_refusal());
            if let Some(callback) = &shared.callbacks.refusal {
                callback(&Refusal {
                    method: head.method.clone(),
                    path: path.clone(),
                    status: reply.parts.status,
                    reason: reply.reason.clone(),
                    is_injected: matches!(template.behavior, Behavior::Status(_)),
                });
            }
        }
        prepare(template, reply, &head.method, &path).await
    }

    /// Reads the body. `None` if it is larger than `max_bytes`.
    async fn read(
        &self,
        body: Incoming,
        max_bytes: usize,
        awaits_continue: bool,
    ) -> Result<Option<Bytes>, Closed> {
        match self.shared.within(BODY_TIMEOUT, read(body, max_bytes)).await {
            Some(Ok(Ok(bytes))) => Ok(Some(bytes)),
            Some(Ok(Err(rest))) => {
                // A client that is still sending would see a reset connection instead of the 413. One that
                // awaits `100 Continue` is not sending.
                if !awaits_continue {
                    let shared = Arc::clone(&self.shared);
                    tokio::spawn(async move { shared.within(BODY_TIMEOUT, discard(rest)).await });
                }
                Ok(None)
            }
            Some(Err(_)) | None => Err(Closed),
        }
    }
}

/// True for a request of the page, which is left out of the log: a page that is open would replace the requests of
/// clients there.
#[cfg_attr(
    not(feature = "page"),
    expect(clippy::missing_const_for_fn, reason = "not with the feature")
)]
fn is_for_page(head: &request::Parts) -> bool {
    #[cfg(feature = "page")]
    return page::is_for(head);
    #[cfg(not(feature = "page"))]
    {
        let _ = head;
        false
    }
}

/// The response before the changes of the template.
async fn process(
    shared: &Arc<Shared>,
    request: &ApiRequest<'_>,
    template: &ResponseTemplate,
) -> ApiResponse {
    match template.behavior {
        Behavior::Normal | Behavior::CloseAfterProcessing => routes::respond(shared, request).await,
        Behavior::Status(status) => ApiResponse::error(status, "scripted"),
        // Never sent.
        Behavior::Close | Behavior::Hang => ApiResponse::error(StatusCode::OK, ""),
    }
}

/// Waits for the delay of the template and applies its changes. `path` is that of the request.
async fn prepare(
    template: ResponseTemplate,
    reply: Reply,
    method: &Method,
    path: &str,
) -> Result<Prepared, Closed> {
    if !template.delay.is_zero() {
        tokio::time::sleep(template.delay).await;
    }
    match template.behavior {
        Behavior::Close | Behavior::CloseAfterProcessing => return Err(Closed),
        Behavior::Hang => match future::pending::<Infallible>().await {},
        Behavior::Normal | Behavior::Status(_) => {}
    }
    let Reply { mut parts, body, stream, reason: _ } = reply;
    parts.headers.extend(template.location(path).map(|url| (header::LOCATION, url)));
    for (name, value) in &template.headers {
        parts.headers.insert(name, value.clone());
    }
    let is_raw = template.needs_raw_response();
    Ok(match template.body.unwrap_or(BodySource::Bytes(body)) {
        BodySource::Bytes(body) if !is_raw => {
            let body = stream.map_or_else(|| Either::Left(Full::new(body)), Either::Right);
            Prepared::Response(Response::from_parts(parts, body))
        }
        body => Prepared::Raw(RawResponse::new(method, &parts, body, template.wire)),
    })
}

/// Reads a body, or returns the rest of one that is larger than `max_bytes`.
async fn read(mut body: Incoming, max_bytes: usize) -> hyper::Result<Result<Bytes, Incoming>> {
    let mut bytes = Vec::new();
    let mut fits = body.size_hint().lower() <= max_bytes as u64;
    while fits && let Some(frame) = body.frame().await {
        // The other kind of frame, trailers, has no meaning in this API.
        if let Ok(data) = frame?.into_data() {
            fits = bytes.len() + data.len() <= max_bytes;
            if fits {
                bytes.extend_from_slice(&data);
            }
        }
    }
    if !fits {
        return Ok(Err(body));
    }
    bytes.shrink_to_fit();
    Ok(Ok(bytes.into()))
}

/// Reads and discards a body, up to [`MAX_DISCARDED_BYTES`].
async fn discard(mut body: Incoming) {
    let mut discarded = 0;
    while discarded <= MAX_DISCARDED_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        discarded += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// The error that makes hyper close the connection without a response.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection closed without a response")
    }
}

impl Error for Closed {}

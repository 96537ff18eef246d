//! A server on loopback that accepts and counts everything, in a separate process.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, runtime::Builder};

use crate::Result;

/// A key that each event has once, in the formats of all contenders.
const KEY: &[u8] = b"task_duration_ms";

/// The totals of a sink; requests for the totals do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// The bytes of bodies, without the framing of chunks.
    pub(crate) bytes: u64,
    pub(crate) events: u64,
}

/// Listens on a free port, prints it, and serves until the standard input ends.
pub(crate) fn run() -> Result<()> {
    let port = start()?;
    println!("{port}");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Returns the totals of the sink at that port.
pub(crate) fn counts(port: u16) -> Result<Counts> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(b"GET /counts HTTP/1.1\r\nhost: sink\r\nconnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (_, body) = response.split_once("\r\n\r\n").ok_or("the sink did not respond")?;
    Ok(serde_json::from_str(body)?)
}

#[derive(Debug, Default)]
struct Totals {
    requests: AtomicU64,
    bytes: AtomicU64,
    events: AtomicU64,
}

/// Serves on a thread; returns the port.
fn start() -> Result<u16> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || runtime.block_on(serve(listener)));
    Ok(port)
}

async fn serve(listener: TcpListener) {
    let totals = Arc::<Totals>::default();
    while let Ok((stream, _)) = listener.accept().await {
        let totals = Arc::clone(&totals);
        let service = service_fn(move |request| respond(request, Arc::clone(&totals)));
        // Without Nagle's algorithm, as a response is a single small write.
        let _ = stream.set_nodelay(true);
        // A client that closes its connection early has its events lost, which the counts show.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn respond(
    request: Request<Incoming>,
    totals: Arc<Totals>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let (status, body) = if path == "/counts" {
        let [requests, bytes, events] =
            [&totals.requests, &totals.bytes, &totals.events].map(|it| it.load(SeqCst));
        let counts = Counts { requests, bytes, events };
        (StatusCode::OK, serde_json::to_string(&counts).unwrap_or_default())
    } else {
        let body = request.into_body().collect().await.map(|it| it.to_bytes()).unwrap_or_default();
        let events = memmem::find_iter(&body, KEY).count() as u64;
        totals.requests.fetch_add(1, SeqCst);
        totals.bytes.fetch_add(body.len() as u64, SeqCst);
        totals.events.fetch_add(events, SeqCst);
        if path.starts_with("/v1/events/batch") {
            (StatusCode::ACCEPTED, format!("{{\"accepted\":{events},\"rejected\":0}}"))
        } else {
            (StatusCode::OK, "{}".to_owned())
        }
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_with_length_and_in_chunks_are_counted() {
        let port = start().unwrap();
        let event = "{\"task_duration_ms\":1}";
        let requests = [
            format!(
                "POST /v1/events/batch HTTP/1.1\r\nhost: a\r\ncontent-length: 22\r\n\r\n{event}"
            ),
            format!(
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                 16\r\n{event}\r\n0\r\n\r\n"
            ),
        ];
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.write_all(requests.concat().as_bytes()).unwrap();
        let mut responses = String::new();
        stream.read_to_string(&mut responses).unwrap();
        assert!(responses.contains("{\"accepted\":1,\"rejected\":0}"), "{responses}");
        assert_eq!(counts(port).unwrap(), Counts { requests: 2, bytes: 44, events: 2 });
    }
}

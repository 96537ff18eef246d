//! Tunnels through a proxy.

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, StatusCode, Uri};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tower_service::Service;

use crate::Proxy;

/// Size limit of the proxy's response in bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Asks a proxy, to which `inner` connects, for a tunnel to the server.
//
// hyper-util's `Tunnel` does not report the status, which decides whether to try again.
#[derive(Clone)]
pub(super) struct Tunnel<C> {
    proxy: Uri,
    authorization: Option<HeaderValue>,
    inner: C,
}

/// The proxy responded with this status, which is not a success.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) StatusCode);

type BoxError = Box<dyn Error + Send + Sync>;

impl<C> Tunnel<C> {
    pub(super) fn new(proxy: &Proxy, inner: C) -> Self {
        let authorization = proxy.hyper.basic_auth().cloned();
        Self { proxy: proxy.uri().clone(), authorization, inner }
    }

    fn request(&self, server: &Uri) -> Vec<u8> {
        let host = server.host().unwrap_or_default();
        let default = if server.scheme_str() == Some("http") { 80 } else { 443 };
        let authority = format!("{host}:{}", server.port_u16().unwrap_or(default));
        let mut request =
            format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            let header = [b"Proxy-Authorization: ", authorization.as_bytes(), b"\r\n"];
            request.extend_from_slice(&header.concat());
        }
        request.extend_from_slice(b"\r\n");
        request
    }
}

impl<C> Service<Uri> for Tunnel<C>
where
    C: Service<Uri>,
    C::Response: Read + Write + Unpin + Send + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let connecting = self.inner.call(self.proxy.clone());
        let request = self.request(&server);
        Box::pin(async move {
            let mut stream = TokioIo::new(connecting.await.map_err(Into::into)?);
            stream.write_all(&request).await?;
            stream.flush().await?;
            let status = read_status(&mut stream).await?;
            if status.is_success() { Ok(stream.into_inner()) } else { Err(Refusal(status).into()) }
        })
    }
}

/// Reads the head of a response, and nothing after it.
async fn read_status(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<StatusCode> {
    let invalid = || io::Error::other("invalid response of the proxy");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD_BYTES {
            return Err(invalid());
        }
        head.push(stream.read_u8().await?);
    }
    let status = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    StatusCode::from_bytes(status.unwrap_or_default()).map_err(|_| invalid())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy refused the tunnel with status {}", self.0)
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_the_default_port_of_the_scheme() {
        let tunnel = Tunnel::new(&Proxy::new("http://proxy").unwrap(), ());
        for (url, expected) in [
            ("http://host/a", "host:80"),
            ("https://host", "host:443"),
            ("https://[fd00::1]/a", "[fd00::1]:443"),
            ("http://host:81/a", "host:81"),
        ] {
            let request = String::from_utf8(tunnel.request(&url.parse().unwrap())).unwrap();
            assert_eq!(request, format!("CONNECT {expected} HTTP/1.1\r\nHost: {expected}\r\n\r\n"));
        }
    }

    #[tokio::test]
    async fn response_is_read_to_the_end_of_its_head() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(MAX_HEAD_BYTES));
        for (response, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\nmore", Some(200)),
            ("HTTP/1.0 407 \r\nx: 1\r\n\r\nmore", Some(407)),
            ("HTTP/1.1 503\r\n\r\nmore", Some(503)),
            ("HTTP/1.1 20\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\n", None),
            ("HTTP/2 200 OK\r\n\r\n", None),
            ("\r\n\r\n", None),
            ("", None),
            (&long, None),
        ] {
            let mut stream = response.as_bytes();
            let status = read_status(&mut stream).await;
            assert_eq!(status.ok().map(|status| status.as_u16()), expected, "{response}");
            assert!(expected.is_none() || stream == b"more", "{response}");
        }
    }
}

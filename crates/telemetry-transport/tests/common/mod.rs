//! Servers on loopback, and requests for them.

use std::{
    io::{BufRead, Write},
    net::{TcpListener, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use telemetry_transport::{Request, Timeout};

#[cfg(feature = "rustls")]
pub(crate) mod tls;

/// Long enough to never matter unless something hangs.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// Short enough to wait for.
pub(crate) const BRIEF: Duration = Duration::from_millis(50);

/// Runs `serve` for each of `connections` connections, one after the other.
pub(crate) fn server<T: Send + 'static>(
    connections: usize,
    serve: impl Fn(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<Vec<T>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
    let serving = thread::spawn(move || {
        (0..connections).map(|_| serve(listener.accept().expect("a client connects").0)).collect()
    });
    (url, serving)
}

/// Connects and goes away: for a server that still waits for somebody.
pub(crate) fn visit(url: &str) {
    drop(TcpStream::connect(url.trim_start_matches("http://").trim_end_matches("/v1")));
}

/// Reads one request: its head in lower case, and its body.
pub(crate) fn read_request(stream: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A client that has gone is the client's affair.
pub(crate) fn answer(stream: &mut impl Write, head: &str, body: &str) {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all((head + body).as_bytes());
    let _ = stream.flush();
}

pub(crate) fn post(url: &str, timeout: Duration) -> Request {
    let mut request = http::Request::post(url)
        .header("authorization", "Bearer key")
        .body(b"{\"events\":[]}".to_vec())
        .expect("a request");
    request.extensions_mut().insert(Timeout(timeout));
    request
}

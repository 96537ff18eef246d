//! Servers on loopback.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

/// Calls `serve` for each of `connections` connections, one after the other.
pub(crate) fn server<T: Send + 'static>(
    connections: usize,
    serve: impl Fn(BufReader<TcpStream>) -> T + Send + 'static,
) -> (String, JoinHandle<Vec<T>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let serve_next = move |_| serve(BufReader::new(listener.accept().unwrap().0));
    let server = thread::spawn(move || (0..connections).map(serve_next).collect());
    (url, server)
}

/// Connects and closes, so that a server that waits for a connection continues.
pub(crate) fn connect(url: &str) {
    drop(TcpStream::connect(url.trim_start_matches("http://").trim_end_matches("/v1")));
}

/// Reads a request: head in lower case, and body.
pub(crate) fn read_request(stream: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// Ignores errors: the client may have disconnected.
pub(crate) fn respond<S: Read + Write>(stream: &mut BufReader<S>, head: &str, body: &str) {
    let response = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let _ = stream.get_mut().write_all(response.as_bytes());
    let _ = stream.get_mut().flush();
}

/// Responds to the requests of a connection with "200 OK" and "done", and returns them.
pub(crate) fn accept_all<S: Read + Write>(stream: &mut BufReader<S>) -> Vec<String> {
    let mut requests = Vec::new();
    while let Some(request) = read_request(stream) {
        requests.push(request);
        respond(stream, "200 OK\r\nx-one: 1", "done");
    }
    requests
}

//! Loopback servers that record every byte they receive.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Requests, each with head and body, and connections that sent none.
pub(crate) type Received = Arc<Mutex<Vec<String>>>;

/// A server with a thread for each connection. It ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    received: Received,
    is_over: Arc<AtomicBool>,
}

impl Server {
    /// Answers each request with the result of `answer`.
    pub(crate) fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::speaking(move |stream, received| converse(stream, received, &answer))
    }

    /// Leaves each connection to `speak`.
    pub(crate) fn speaking(speak: impl Fn(TcpStream, &Received) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let (received, is_over) = (Received::default(), Arc::<AtomicBool>::default());
        let server = Self { address, received: received.clone(), is_over: is_over.clone() };
        let speak = Arc::new(speak);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Acquire) {
                    break;
                }
                let (speak, received) = (Arc::clone(&speak), Arc::clone(&received));
                thread::spawn(move || speak(stream, &received));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
    }
}

/// Answers requests until the client closes, or the answer has `connection: close`.
pub(crate) fn converse(
    stream: impl Read + Write,
    received: &Received,
    answer: impl Fn(&str) -> Vec<u8>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = request(&mut stream, received) {
        let answer = answer(&request);
        let _ = stream.get_mut().write_all(&answer);
        let _ = stream.get_mut().flush();
        if answer.windows(17).any(|window| window == b"connection: close") {
            break;
        }
    }
}

/// Reads a request and records it; an incomplete one is recorded but not returned.
pub(crate) fn request(stream: &mut impl BufRead, received: &Received) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read_until(b'\n', &mut head), Ok(1..)) {}
    let mut text = String::from_utf8_lossy(&head).into_owned();
    let lines = text.to_ascii_lowercase();
    let length = lines.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    let is_whole = head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut body).is_ok();
    text.push_str(&String::from_utf8_lossy(&body));
    if !text.is_empty() {
        received.lock().unwrap_or_else(PoisonError::into_inner).push(text.clone());
    }
    is_whole.then_some(text)
}

/// An answer with this status line and headers, which CRLF separates, and this body.
pub(crate) fn answer(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

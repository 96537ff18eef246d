//! Servers that write down every byte that they receive.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What a server is to its thread: how a connection is spoken on, and what is written down.
pub(crate) trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A server on loopback, with a thread for each connection. It ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    received: Received,
    is_over: Arc<AtomicBool>,
}

/// Requests, each with its head and its body; and what was no request.
pub(crate) type Received = Arc<Mutex<Vec<String>>>;

impl Server {
    /// Answers each request with what `answer` makes of its text.
    pub(crate) fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(|stream| Box::new(stream), answer)
    }

    /// As [`answering`](Self::answering), over what `accept` makes of a connection.
    pub(crate) fn start(
        accept: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::speaking(move |stream, received| converse(accept(stream), received, &answer))
    }

    /// Leaves each connection to `speak`.
    pub(crate) fn speaking(speak: impl Fn(TcpStream, &Received) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let (received, is_over) = (Received::default(), Arc::new(AtomicBool::new(false)));
        let server = Self { address, received, is_over };
        let (received, is_over) = (Arc::clone(&server.received), Arc::clone(&server.is_over));
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

    /// What it has received so far.
    pub(crate) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
    }
}

/// Reads and answers requests until the client goes or the answer says `connection: close`.
fn converse(stream: Box<dyn Stream>, received: &Received, answer: &impl Fn(&str) -> Vec<u8>) {
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

/// Reads a request and writes it down; if it ends before its end, what there is of it.
pub(crate) fn request(stream: &mut impl BufRead, received: &Received) -> Option<String> {
    let mut head = Vec::new();
    let is_whole = loop {
        match stream.read_until(b'\n', &mut head) {
            Ok(1..) if head.ends_with(b"\r\n\r\n") => break true,
            Ok(1..) => {}
            _ => break false,
        }
    };
    let mut text = String::from_utf8_lossy(&head).into_owned();
    let lines = text.to_ascii_lowercase();
    let length = lines.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    let is_whole = is_whole && stream.read_exact(&mut body).is_ok();
    text.push_str(&String::from_utf8_lossy(&body));
    if !text.is_empty() {
        received.lock().unwrap_or_else(PoisonError::into_inner).push(text.clone());
    }
    is_whole.then_some(text)
}

/// An answer with this status line and these headers, each ending its line, and this body.
pub(crate) fn answer(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

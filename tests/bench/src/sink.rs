//! A server on loopback that takes everything, at little cost and the same for all.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// A key that every event has once, whoever sends it: events are counted by it.
const MARK: &[u8] = b"task_duration_ms";

const BUFFER_BYTES: usize = 256 << 10;

/// What a sink has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests, but for those for the counts.
    pub requests: u64,
    /// Bytes of bodies, without the frames of chunks.
    pub bytes: u64,
    /// Events in them.
    pub events: u64,
    /// Connections, those of requests for the counts as well.
    pub connections: u64,
}

/// Listens on a port of its own choice, says which on the first line of the standard output, and serves
/// until the standard input ends; then it says its counts.
///
/// # Errors
///
/// It cannot listen.
pub fn run() -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let totals = Arc::<Totals>::default();
    let served = Arc::clone(&totals);
    thread::spawn(move || serve(&listener, &served));
    let mut out = io::stdout();
    writeln!(out, "{port}")?;
    out.flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    serde_json::to_writer(&mut out, &totals.counts())?;
    Ok(writeln!(out)?)
}

/// Asks the sink at that port what it has taken.
///
/// # Errors
///
/// It does not answer.
pub fn counts(port: u16) -> Result<Counts, Failure> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(b"GET /counts HTTP/1.1\r\nhost: sink\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("the sink has not answered")?;
    Ok(serde_json::from_str(body)?)
}

#[derive(Debug, Default)]
struct Totals {
    requests: AtomicU64,
    bytes: AtomicU64,
    events: AtomicU64,
    connections: AtomicU64,
}

impl Totals {
    fn counts(&self) -> Counts {
        Counts {
            requests: self.requests.load(Ordering::SeqCst),
            bytes: self.bytes.load(Ordering::SeqCst),
            events: self.events.load(Ordering::SeqCst),
            connections: self.connections.load(Ordering::SeqCst),
        }
    }

    /// Returns how many events the body has.
    fn take(&self, body: &[u8]) -> u64 {
        let events = memmem::find_iter(body, MARK).count() as u64;
        self.events.fetch_add(events, Ordering::SeqCst);
        self.bytes.fetch_add(body.len() as u64, Ordering::SeqCst);
        self.requests.fetch_add(1, Ordering::SeqCst);
        events
    }
}

fn serve(listener: &TcpListener, totals: &Arc<Totals>) {
    for stream in listener.incoming().flatten() {
        let totals = Arc::clone(totals);
        totals.connections.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            // A peer that goes away in the middle has its events lost, which shows in the counts.
            let _ = Connection::new(stream).and_then(|mut connection| connection.run(&totals));
        });
    }
}

struct Connection {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
    body: Vec<u8>,
}

/// What matters of a request's head.
#[derive(Default)]
struct Head {
    path: String,
    length: u64,
    is_chunked: bool,
    wants_to_continue: bool,
    is_last: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let stream = BufReader::with_capacity(BUFFER_BYTES, stream);
        Ok(Self { stream, line: Vec::new(), body: Vec::new() })
    }

    fn run(&mut self, totals: &Totals) -> io::Result<()> {
        while let Some(head) = self.head()? {
            if head.wants_to_continue {
                self.stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            self.body.clear();
            if head.is_chunked {
                self.chunks()?;
            } else {
                self.bytes(head.length)?;
            }
            let answer = self.answer(&head.path, totals);
            self.stream.get_mut().write_all(answer.as_bytes())?;
            if head.is_last {
                break;
            }
        }
        Ok(())
    }

    /// The next head, or none when the peer has closed.
    fn head(&mut self) -> io::Result<Option<Head>> {
        if !self.next_line()? {
            return Ok(None);
        }
        let path = self.line.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
        let mut head = Head { path: String::from_utf8_lossy(path).into_owned(), ..Head::default() };
        while self.next_line()? && !self.line.is_empty() {
            let Some(colon) = self.line.iter().position(|&byte| byte == b':') else { continue };
            let (name, value) = self.line.split_at(colon);
            let value = value[1..].trim_ascii();
            if name.eq_ignore_ascii_case(b"content-length") {
                let length = std::str::from_utf8(value).ok().and_then(|it| it.parse().ok());
                head.length = length.ok_or(io::ErrorKind::InvalidData)?;
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                head.is_chunked = value.eq_ignore_ascii_case(b"chunked");
            } else if name.eq_ignore_ascii_case(b"expect") {
                head.wants_to_continue = value.eq_ignore_ascii_case(b"100-continue");
            } else if name.eq_ignore_ascii_case(b"connection") {
                head.is_last = value.eq_ignore_ascii_case(b"close");
            }
        }
        Ok(Some(head))
    }

    /// Reads a line, without its end; false at the end of the stream.
    fn next_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let read = self.stream.read_until(b'\n', &mut self.line)?;
        self.line.truncate(self.line.trim_ascii_end().len());
        Ok(read > 0)
    }

    fn bytes(&mut self, length: u64) -> io::Result<()> {
        let read = Read::by_ref(&mut self.stream).take(length).read_to_end(&mut self.body)?;
        if (read as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn chunks(&mut self) -> io::Result<()> {
        loop {
            self.next_line()?;
            let size = self.line.split(|&byte| byte == b';').next().unwrap_or_default();
            let size = std::str::from_utf8(size).ok().map(str::trim);
            let size = size.and_then(|size| u64::from_str_radix(size, 16).ok());
            let size = size.ok_or(io::ErrorKind::InvalidData)?;
            self.bytes(size)?;
            // The end of the chunk, or trailers and the end of the body.
            while self.next_line()? && !self.line.is_empty() {}
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn answer(&self, path: &str, totals: &Totals) -> String {
        let (status, body) = if path == "/counts" {
            ("200 OK", serde_json::to_string(&totals.counts()).unwrap_or_default())
        } else {
            let events = totals.take(&self.body);
            if path.starts_with("/v1/events/batch") {
                ("202 Accepted", format!("{{\"accepted\":{events},\"rejected\":0}}"))
            } else {
                ("200 OK", "{}".to_owned())
            }
        };
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n\
             {body}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || serve(&listener, &Arc::default()));
        port
    }

    fn exchange(stream: &mut TcpStream, request: &str, end: &str) -> String {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(end.as_bytes()) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn bodies_of_any_framing_are_counted_on_one_connection() {
        let port = start();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let event = "{\"task_duration_ms\":1}";
        let body = format!("[{event},{event}]");
        let answer = exchange(
            &mut stream,
            &format!(
                "POST /v1/events/batch HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            "\"rejected\":0}",
        );
        assert!(answer.starts_with("HTTP/1.1 202 ") && answer.contains("\"accepted\":2,"));
        let (first, second) = event.split_at(9);
        let head = "POST /batch/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunks = format!("9\r\n{first}\r\n{:x};x=y\r\n{second}\r\n0\r\n\r\n", second.len());
        let answer = exchange(&mut stream, &format!("{head}{chunks}"), "{}");
        assert!(answer.starts_with("HTTP/1.1 200 "));
        let head = "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
        let answer = exchange(&mut stream, head, "\r\n\r\n");
        assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
        exchange(&mut stream, "{}", "{}");
        let bytes = (body.len() + event.len() + 2) as u64;
        let expected = Counts { requests: 3, bytes, events: 3, connections: 2 };
        assert_eq!(counts(port).unwrap(), expected);
    }
}

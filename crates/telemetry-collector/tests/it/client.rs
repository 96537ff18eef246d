//! An HTTP/1.1 client that can also read and write single bytes.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};
use telemetry_collector::Collector;
use telemetry_model::{EventBuilder, TaskCompletionEvent};
use uuid::Uuid;

/// The time after which a test has failed.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) const INSTANCE: Uuid = Uuid::from_u128(0x12345678_1234_1234_1234_123456789abc);

pub(crate) const EVENTS: &str = "POST /v1/events/batch";

/// One connection.
pub(crate) struct Client(BufReader<Box<dyn Stream>>);

pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(collector: &Collector) -> Self {
        Self::to(collector.addr())
    }

    pub(crate) fn to(addr: SocketAddr) -> Self {
        Self::over(Self::connect(addr))
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self(BufReader::new(Box::new(stream)))
    }

    pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(addr).expect("the collector listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a valid time-out");
        stream.set_write_timeout(Some(TIMEOUT)).expect("a valid time-out");
        stream
    }

    /// Sends a batch of one event.
    pub(crate) fn post(&mut self, id: u128) {
        self.send(EVENTS, &[], &batch([event(id)]));
    }

    /// Reads to the end of the connection. A reset is an end as well: a peer that closes without
    /// reading everything sends one.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => rest,
        }
    }

    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    pub(crate) fn send(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("a string grows");
        }
        write!(head, "content-length: {}\r\n\r\n", body.len()).expect("a string grows");
        self.write([head.as_bytes(), body].concat()).expect("the collector reads");
    }

    /// Reads a response. An error if the connection is closed instead.
    pub(crate) fn receive(&mut self) -> io::Result<Response> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("status line {line:?}")))?;
        let mut headers = Vec::new();
        while let Some((name, value)) = self.line()?.split_once(": ") {
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut response = Response { status, headers, body: Vec::new() };
        let length = response.header("content-length").map_or(Ok(0), str::parse);
        response.body.resize(length.expect("the length is a number"), 0);
        self.0.read_exact(&mut response.body)?;
        Ok(response)
    }

    pub(crate) fn request(&mut self, line: &str, body: &[u8]) -> Response {
        self.request_with(line, &[], body)
    }

    pub(crate) fn request_with(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.send(line, headers, body);
        self.receive().expect("there is a response")
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().expect("an error is text").to_owned()
    }
}

pub(crate) fn event(id: u128) -> TaskCompletionEvent {
    EventBuilder::new(INSTANCE).event_id(Uuid::from_u128(id)).build()
}

pub(crate) fn batch(events: impl IntoIterator<Item = TaskCompletionEvent>) -> Vec<u8> {
    let events: Vec<_> = events.into_iter().collect();
    json!({ "events": events }).to_string().into_bytes()
}

/// The ids of the events held.
pub(crate) fn ids(collector: &Collector) -> Vec<u128> {
    collector.events().iter().map(|event| event.event_id.as_u128()).collect()
}

/// Posts events on a new connection.
pub(crate) fn report(
    collector: &Collector,
    events: impl IntoIterator<Item = TaskCompletionEvent>,
) -> Response {
    Client::new(collector).request(EVENTS, &batch(events))
}

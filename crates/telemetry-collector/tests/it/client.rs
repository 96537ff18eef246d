//! As much of an HTTP/1.1 client as the tests need.

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

/// After this long, a test has failed.
pub(crate) const TOO_LONG: Duration = Duration::from_secs(60);

pub(crate) const INSTANCE: Uuid = Uuid::from_u128(0x12345678_1234_1234_1234_123456789abc);

pub(crate) const EVENTS: &str = "POST /v1/events/batch";

/// One connection.
pub(crate) struct Client(BufReader<Box<dyn Stream>>);

pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answered {
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
        stream.set_read_timeout(Some(TOO_LONG)).expect("a valid time-out");
        stream.set_write_timeout(Some(TOO_LONG)).expect("a valid time-out");
        stream
    }

    /// Sends a report of one event.
    pub(crate) fn post(&mut self, id: u128) {
        self.send(EVENTS, &[], &batch([event(id)]));
    }

    /// All that comes until the connection is closed. That it breaks is an end as well: a peer that
    /// closes without reading all resets.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => rest,
        }
    }

    /// The next bytes.
    pub(crate) fn some(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    pub(crate) fn send(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("a string takes anything");
        }
        write!(head, "content-length: {}\r\n\r\n", body.len()).expect("a string takes anything");
        self.write([head.as_bytes(), body].concat()).expect("the collector reads");
    }

    /// Reads an answer; an error if the connection is closed instead.
    pub(crate) fn receive(&mut self) -> io::Result<Answered> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("status line {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut answered = Answered { status, headers, body: Vec::new() };
        let length = answered
            .header("content-length")
            .map_or(0, |length| length.parse().expect("the length is a number"));
        answered.body.resize(length, 0);
        self.0.read_exact(&mut answered.body)?;
        Ok(answered)
    }

    pub(crate) fn ask(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
        self.send(line, headers, body);
        self.receive().expect("there is an answer")
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).expect("the answer is JSON")
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

pub(crate) fn ids(collector: &Collector) -> Vec<u128> {
    collector.events().iter().map(|event| event.event_id.as_u128()).collect()
}

/// Posts events on a connection of their own.
pub(crate) fn report(
    collector: &Collector,
    events: impl IntoIterator<Item = TaskCompletionEvent>,
) -> Answered {
    Client::new(collector).ask("POST /v1/events/batch", &[], &batch(events))
}

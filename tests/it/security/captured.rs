//! Everything that any crate logs, at level TRACE, through `log` and through `tracing`. That takes a
//! process of its own.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    sync::{Mutex, PoisonError},
};

use mosaicstack_telemetry::transport::{Request, Response, TransportError};
use telemetry_tests::{KEY, long_tests, status};
use tracing::Level;

use super::{
    clients::{Life, Transports, Way, live, on_threads, on_tokio},
    forms::{Search, base64},
    servers::{Server, answer},
};
use crate::{
    blocking::{ABSENT, eager},
    guide::said_alone,
};

static RECORDS: Mutex<Vec<Record>> = Mutex::new(Vec::new());

/// A log record.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) target: String,
    pub(crate) text: String,
    is_trace: bool,
}

impl Record {
    /// Whether the filter `ureq_proto=debug` drops the record, as `docs/security.md` recommends.
    pub(crate) fn is_wire_log(&self) -> bool {
        self.is_trace && self.target.starts_with("ureq_proto")
    }
}

fn write(target: &str, is_trace: bool, text: String) {
    let mut records = RECORDS.lock().unwrap_or_else(PoisonError::into_inner);
    records.push(Record { target: target.into(), text, is_trace });
}

/// What has been logged since the last call, by whatever thread.
pub(crate) fn records() -> Vec<Record> {
    std::mem::take(&mut *RECORDS.lock().unwrap_or_else(PoisonError::into_inner))
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let is_trace = record.level() == log::Level::Trace;
        write(record.target(), is_trace, format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        // ` WARN a_target: a message`
        let target = line.split_whitespace().nth(1).unwrap_or_default().trim_end_matches(':');
        write(target, line.trim().starts_with("TRACE"), line.trim().into());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to collect; once a process.
pub(crate) fn capture() {
    log::set_boxed_logger(Box::new(Logger)).expect("nobody else logs here");
    log::set_max_level(log::LevelFilter::Trace);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .without_time()
        .with_ansi(false)
        .with_writer(|| Writer)
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("nobody else listens here");
}

/// What a server says, and whether there is a key in it.
struct Scenario {
    name: &'static str,
    head: &'static str,
    body: Vec<u8>,
}

/// Stands for the key in the head of an answer.
const ECHO: &str = "<the key>";

impl Scenario {
    fn new(name: &'static str, head: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { name, head, body: body.into() }
    }

    fn says(&self) -> Vec<u8> {
        // The end of what is never complete.
        let head = format!("{}\r\nconnection: close", self.head.replace(ECHO, KEY));
        answer(&head, &self.body)
    }
}

fn silent() -> Vec<Scenario> {
    let mut scenarios = vec![Scenario::new("a good server", "200 OK", "{\"accepted\":3}")];
    for status in [
        "301 Moved\r\nlocation: /elsewhere",
        "307 Temporary Redirect\r\nlocation: http://127.0.0.1:9/",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "413 Too Large",
        "422 Unprocessable",
        "429 Too Many\r\nretry-after: 9000",
        "503 Unavailable",
        "200 OK\r\ntransfer-encoding: chunked",
        "2",
    ] {
        scenarios.push(Scenario::new("an answer without the key", status, "no"));
    }
    scenarios
}

fn echoing() -> Vec<Scenario> {
    let lines = format!("{}\r\n{}", &KEY[..32], &KEY[32..]);
    let mut scenarios = Vec::new();
    let said = [
        format!("no such key: {KEY}"),
        format!("no such key: '{KEY}'"),
        format!("\"Bearer {KEY}\""),
        KEY.to_uppercase(),
        lines,
        base64(KEY.as_bytes()),
        format!("{}{KEY}", "no ".repeat(60)),
    ];
    for said in said {
        let heads = ["401 Unauthorized", "403 Forbidden", "422 Unprocessable", "503 Unavailable"];
        for head in heads.into_iter().skip(if long_tests() { 0 } else { 3 }) {
            scenarios.push(Scenario::new("a body with the key", head, said.clone()));
        }
        let error = serde_json::to_string(&said).expect("JSON");
        let result = format!("{{\"status\":\"rejected\",\"error\":{error}}}");
        let receipt = format!("{{\"rejected\":3,\"results\":[{result},{result},{result}]}}");
        scenarios.push(Scenario::new("a receipt with the key", "200 OK", receipt));
        let unreadable = [said.as_bytes(), b"\xff\xfe"].concat();
        scenarios.push(Scenario::new("a body that is no text", "200 OK", unreadable));
    }
    for head in [
        "401 <the key>",
        "403 Forbidden\r\nwww-authenticate: Bearer <the key>",
        "200 OK\r\nx-echo: <the key>\r\nset-cookie: key=<the key>",
        "302 Found\r\nlocation: http://127.0.0.1:9/<the key>",
        "429 Too Many\r\nretry-after: <the key>",
        "200 OK\r\ntransfer-encoding: <the key>",
        "<the key>",
        "200 OK\r\n<the key>",
        "200 OK\r\ncontent-length: <the key>",
    ] {
        scenarios.push(Scenario::new("a head with the key", head, ""));
    }
    scenarios
}

/// Searched texts and records, and the number of records by crate.
struct Count {
    search: Search,
    lines: BTreeMap<String, usize>,
    /// Those among them with the key.
    wire_with_key: usize,
}

impl Count {
    /// Searches the output of a client and the log, except for the wire log and for the targets that
    /// `is_echo` accepts.
    fn look_through(&mut self, place: &str, life: &Life, is_echo: impl Fn(&str) -> bool) {
        self.search.must_not_find(place, &life.shown);
        for record in records() {
            let Record { target, text, .. } = &record;
            let library = target.split("::").next().unwrap_or_default().to_owned();
            *self.lines.entry(library).or_default() += 1;
            if record.is_wire_log() {
                self.wire_with_key += usize::from(self.search.find(text).is_some());
            } else if !is_echo(target) {
                self.search.must_not_find(&format!("{place}, {target}"), text);
            }
        }
    }

    /// The key is in the header of every report, and in nothing else that the server got.
    fn check_requests(&mut self, received: &[String]) {
        for request in received {
            let is_report = request.starts_with("POST /v1/events/batch ");
            let header = format!("\r\nauthorization: Bearer {KEY}\r\n");
            assert_eq!(request.matches(&header).count(), usize::from(is_report), "{request}");
            self.search.must_not_find("a request", &request.replacen(&header, "", 1));
        }
    }
}

#[test]
fn only_the_wire_log_of_ureq_contains_the_key() {
    let test = concat!(module_path!(), "::only_the_wire_log_of_ureq_contains_the_key");
    if let Some(said) = said_alone(test, &[]) {
        // What the process has written, the messages of panics among it.
        return Search::new().must_not_find("the output of the process", &said);
    }
    capture();
    let mut count = Count { search: Search::new(), lines: BTreeMap::new(), wire_with_key: 0 };
    for &way in Way::some() {
        let is_ureq = matches!(way, Way::ThreadsAndUreq | Way::TokioAndUreq);
        let wire_with_key = count.wire_with_key;
        for scenario in silent().into_iter().chain(echoing()) {
            let says = scenario.says();
            let server = Server::answering(move |_| says.clone());
            let life = live(way, eager(&server.url()), &Transports::new());
            let place = format!("{way:?}, {}: {}", scenario.name, scenario.head);
            assert!(life.stats.requests > 0, "{place}");
            // At DEBUG, ureq logs some headers of the response, here with the key.
            let is_in_head = scenario.head.contains(ECHO);
            count.look_through(&place, &life, |target| is_in_head && target == "ureq::run");
            count.check_requests(&server.received());
        }
        assert_eq!(count.wire_with_key > wire_with_key, is_ureq, "{way:?}");
        // A port where nobody listens, and a server that speaks no TLS.
        let server = Server::speaking(|mut stream, received| {
            let mut sent = [0; 1024];
            let length = stream.read(&mut sent).unwrap_or(0);
            let sent = String::from_utf8_lossy(&sent[..length]).into_owned();
            received.lock().expect("nobody panics").push(sent);
            let _ = stream.write_all(b"this is no TLS at all\r\n");
        });
        for url in [ABSENT.to_owned(), server.url().replace("http:", "https:")] {
            let life = live(way, eager(&url), &Transports::new());
            assert_eq!((life.stats.delivered, life.stats.pending), (0, 3), "{way:?}, {url}");
            count.look_through(&format!("{way:?}, {url}"), &life, |_| false);
        }
        // The beginning of TLS is all that it got.
        let received = server.received();
        assert!(!received.is_empty() && !received.concat().contains("POST"), "{received:?}");
    }
    misbehaving_transports(&mut count);
    for library in ["ureq", "ureq_proto", "rustls", "hyper_util", "mosaicstack_telemetry"] {
        assert!(count.lines.contains_key(library), "{library} is silent: {:?}", count.lines);
    }
}

fn header(request: &Request) -> Vec<u8> {
    let header = request.headers().get("authorization");
    header.map(|header| header.as_bytes().to_vec()).unwrap_or_default()
}

/// Those that tell more than they should: in an error, or in a panic.
fn misbehaving_transports(count: &mut Count) {
    type Misbehave = fn(Request) -> Result<Response, TransportError>;
    let transports: [(&str, Misbehave); 6] = [
        ("an error with the request", |request| {
            Err(TransportError::other(format!("it does not like {request:?}")))
        }),
        ("an error with the header", |request| {
            let header = String::from_utf8(header(&request)).expect("text");
            Err(TransportError::network(format!("it does not like {header}")))
        }),
        ("another error with the header", |request| {
            Err(TransportError::other(base64(&header(&request))))
        }),
        ("a panic with the request", |request| panic!("it does not like {request:?}")),
        ("a panic that holds the header", |request| {
            std::panic::resume_unwind(Box::new(header(&request)))
        }),
        ("no answer", |_| Ok(status(503))),
    ];
    for (name, transport) in transports {
        let life = on_threads(eager("https://example.com"), transport);
        count.look_through(name, &life, |_| false);
        let life = on_tokio(eager("https://example.com"), move |request: Request| async move {
            transport(request)
        });
        count.look_through(name, &life, |_| false);
    }
}

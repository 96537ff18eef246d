//! The log of every crate at level TRACE, through `log` and `tracing`, in a separate process.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    panic,
    sync::{Arc, Mutex, PoisonError},
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, TelemetryConfig,
    transport::{Request, ReqwestTransport, TransportError},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use telemetry_tests::{KEY, long_tests, status};
use tracing::Level;

use super::{
    runs::{Run, run},
    search::{Search, base64},
    servers::{Server, answer},
};
use crate::{
    client::{Client, Kind, Reply, multi_thread},
    support::{ABSENT, eager, run_alone},
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
    /// True if the filter `ureq_proto=debug` drops the record, as `docs/security.md` recommends.
    pub(crate) fn is_wire_log(&self) -> bool {
        self.is_trace && self.target.starts_with("ureq_proto")
    }
}

fn write(target: &str, is_trace: bool, text: String) {
    let mut records = RECORDS.lock().unwrap_or_else(PoisonError::into_inner);
    records.push(Record { target: target.into(), text, is_trace });
}

/// The records of all threads since the last call.
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

/// Installs the loggers; once in a process.
pub(crate) fn capture() {
    log::set_boxed_logger(Box::new(Logger)).expect("the first logger");
    log::set_max_level(log::LevelFilter::Trace);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .without_time()
        .with_ansi(false)
        .with_writer(|| Writer)
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first subscriber");
}

/// Stands for the key in the head of a response.
const ECHO: &str = "<the key>";

/// Heads and bodies of responses without the key.
const SILENT: [(&str, &str); 12] = [
    ("200 OK", "{\"accepted\":3}"),
    ("301 Moved\r\nlocation: /elsewhere", "no"),
    ("307 Temporary Redirect\r\nlocation: http://127.0.0.1:9/", "no"),
    ("400 Bad Request", "no"),
    ("401 Unauthorized", "no"),
    ("403 Forbidden", "no"),
    ("413 Too Large", "no"),
    ("422 Unprocessable", "no"),
    ("429 Too Many\r\nretry-after: 9000", "no"),
    ("503 Unavailable", "no"),
    ("200 OK\r\ntransfer-encoding: chunked", "no"),
    ("2", "no"),
];

/// Heads of responses with the key.
const ECHOING: [&str; 9] = [
    "401 <the key>",
    "403 Forbidden\r\nwww-authenticate: Bearer <the key>",
    "200 OK\r\nx-echo: <the key>\r\nset-cookie: key=<the key>",
    "302 Found\r\nlocation: http://127.0.0.1:9/<the key>",
    "429 Too Many\r\nretry-after: <the key>",
    "200 OK\r\ntransfer-encoding: <the key>",
    "<the key>",
    "200 OK\r\n<the key>",
    "200 OK\r\ncontent-length: <the key>",
];

/// Heads and bodies of responses.
fn responses() -> Vec<(&'static str, Vec<u8>)> {
    let mut responses: Vec<_> =
        SILENT.iter().map(|(head, body)| (*head, body.as_bytes().to_vec())).collect();
    responses.extend(ECHOING.map(|head| (head, Vec::new())));
    for error in [
        format!("no such key: {KEY}"),
        format!("no such key: '{KEY}'"),
        format!("\"Bearer {KEY}\""),
        KEY.to_uppercase(),
        format!("{}\r\n{}", &KEY[..32], &KEY[32..]),
        base64(KEY.as_bytes()),
        format!("{}{KEY}", "no ".repeat(60)),
    ] {
        let heads = ["401 Unauthorized", "403 Forbidden", "422 Unprocessable", "503 Unavailable"];
        for head in &heads[if long_tests() { 0 } else { 3 }..] {
            responses.push((head, error.clone().into()));
        }
        let result = serde_json::json!({ "status": "rejected", "error": error }).to_string();
        let receipt = format!("{{\"rejected\":3,\"results\":[{result},{result},{result}]}}");
        responses.push(("200 OK", receipt.into()));
        responses.push(("200 OK", [error.as_bytes(), b"\xff\xfe"].concat()));
    }
    responses
}

/// Searched texts and records.
struct Count {
    search: Search,
    /// Records by crate.
    records: BTreeMap<String, usize>,
    /// Records of the wire log that contain the key.
    wire_with_key: usize,
}

impl Count {
    /// Searches the output of a client and the log, except for the wire log and for the targets that
    /// `is_echo` accepts.
    fn search(&mut self, place: &str, run: &Run, is_echo: impl Fn(&str) -> bool) {
        self.search.must_not_find(place, &run.shown);
        for record in records() {
            let Record { target, text, .. } = &record;
            let name = target.split("::").next().unwrap_or_default().to_owned();
            *self.records.entry(name).or_default() += 1;
            if record.is_wire_log() {
                self.wire_with_key += usize::from(self.search.find(text).is_some());
            } else if !is_echo(target) {
                self.search.must_not_find(&format!("{place}, {target}"), text);
            }
        }
    }

    /// The key is in the header of every request with events, and nowhere else.
    fn check_requests(&self, received: &[String]) {
        for request in received {
            let is_report = request.starts_with("POST /v1/events/batch ");
            let header = format!("\r\nauthorization: Bearer {KEY}\r\n");
            assert_eq!(request.matches(&header).count(), usize::from(is_report), "{request}");
            self.search.must_not_find("a request", &request.replacen(&header, "", 1));
        }
    }
}

#[test]
fn wire_log_of_ureq_alone_contains_the_key() {
    if let Some(output) = run_alone(wire_log_of_ureq_alone_contains_the_key, &[]) {
        // Including the messages of panics.
        return Search::new().must_not_find("the output of the process", &output);
    }
    capture();
    let mut count = Count { search: Search::new(), records: BTreeMap::new(), wire_with_key: 0 };
    for kind in Kind::ALL {
        let before = count.wire_with_key;
        check_responses(&format!("{kind:?}"), &mut count, |config| Client::start(kind, config));
        assert_eq!(count.wire_with_key > before, kind == Kind::Blocking, "{kind:?}");
        check_unreachable(kind, &mut count);
        check_transports(kind, &mut count);
    }
    check_responses("reqwest", &mut count, with_reqwest);
    for name in ["ureq", "ureq_proto", "rustls", "hyper_util", "mosaicstack_telemetry", "reqwest"] {
        assert!(count.records.contains_key(name), "no record of {name}: {:?}", count.records);
    }
}

fn check_responses(place: &str, count: &mut Count, start: impl Fn(TelemetryConfig) -> Client) {
    for (head, body) in responses() {
        // The end of a response that declares no length.
        let response = format!("{}\r\nconnection: close", head.replace(ECHO, KEY));
        let response = answer(&response, &body);
        let server = Server::answering(move |_| response.clone());
        let run = run(eager(&server.url()), &start);
        assert!(run.stats.requests > 0, "{place}, {head}");
        // At DEBUG, ureq logs some headers of the response, here with the key.
        let is_in_head = head.contains(ECHO);
        let is_echo = |target: &str| is_in_head && target == "ureq::run";
        count.search(&format!("{place}, {head}"), &run, is_echo);
        count.check_requests(&server.received());
    }
}

fn with_reqwest(config: TelemetryConfig) -> Client {
    // Without TLS settings, reqwest would panic here for want of a default crypto provider.
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .build()
        .expect("a client");
    Client::on(multi_thread(), || {
        AsyncTelemetryClient::with_transport(config, ReqwestTransport::new(http))
    })
}

/// Checks a port without a server, and a server without TLS.
fn check_unreachable(kind: Kind, count: &mut Count) {
    let server = Server::speaking(|mut stream, received| {
        let mut sent = [0; 1024];
        let length = stream.read(&mut sent).unwrap_or(0);
        let sent = String::from_utf8_lossy(&sent[..length]).into_owned();
        received.lock().expect("not poisoned").push(sent);
        let _ = stream.write_all(b"this is not TLS at all\r\n");
    });
    for url in [ABSENT.to_owned(), server.url().replace("http:", "https:")] {
        let run = run(eager(&url), |config| Client::start(kind, config));
        assert_eq!((run.stats.delivered, run.stats.pending), (0, 3), "{kind:?}, {url}");
        count.search(&format!("{kind:?}, {url}"), &run, |_| false);
    }
    // The start of the handshake alone.
    let received = server.received();
    assert!(!received.is_empty() && !received.concat().contains("POST"), "{received:?}");
}

/// Checks transports that reveal the request, or its header, in an error or a panic.
fn check_transports(kind: Kind, count: &mut Count) {
    fn header(request: &Request) -> Vec<u8> {
        let header = request.headers().get("authorization");
        header.map(|header| header.as_bytes().to_vec()).unwrap_or_default()
    }
    type Send = fn(Request) -> Reply;
    let transports: [(&str, Send); 6] = [
        ("error with the request", |request| {
            Err(TransportError::other(format!("failed: {request:?}")))
        }),
        ("error with the header", |request| {
            let header = String::from_utf8(header(&request)).expect("text");
            Err(TransportError::network(format!("failed: {header}")))
        }),
        ("error with the header in base64", |request| {
            Err(TransportError::other(base64(&header(&request))))
        }),
        ("panic with the request", |request| panic!("failed: {request:?}")),
        ("payload with the header", |request| panic::resume_unwind(Box::new(header(&request)))),
        ("status", |_| Ok(status(503))),
    ];
    for (name, transport) in transports {
        let run = run(eager("https://example.com"), |config| {
            Client::with_transport(kind, config, transport)
        });
        count.search(name, &run, |_| false);
    }
}

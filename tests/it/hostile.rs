//! Hostile servers: the client's memory stays small, its timeouts hold, and it delivers again as soon
//! as the server behaves.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, RetryPolicy, TelemetryClient,
    transport::{Request, Transport, UreqTransport},
};
use telemetry_collector::{Position, ResponseTemplate};
use telemetry_tests::{allocated, config, long_tests, now, track};

use crate::{
    client::{Client, Kind, current_thread},
    security::servers::{Server, answer, converse},
    support::{AMPLE, collector, ids, query},
};

/// Bound of the memory that a call holds, in bytes.
const MOST: u64 = 8 << 20;

const TIMEOUT: Duration = Duration::from_millis(500);

const HOUR: Duration = Duration::from_secs(3600);

/// Bytes of a body that a client reads.
const LARGEST: usize = 1 << 20;

/// Reply of the server to each request.
enum Reply {
    Template(Box<ResponseTemplate>),
    /// Bytes that are not HTTP: some once, then others without end unless they are empty.
    Raw(Vec<u8>, &'static str),
    /// The same, before the request.
    Early(&'static str),
}

use Reply::{Early, Raw};

fn replies() -> Vec<(&'static str, Reply)> {
    let normal = ResponseTemplate::normal;
    let repeated = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(",")
    };
    let members = repeated(80_000, &|n| format!(r#""{n:x}":{{}}"#));
    let percentiles = repeated(90_000, &|n| format!(r#""p{n:x}":0"#));
    let objects = "{},".repeat(LARGEST / 3 - 20);
    let arrays = "[],".repeat(LARGEST / 3 - 20);
    let data = format!(
        r#"{{"input_tokens":{{"median":1,{percentiles}}},"output_tokens":{{"median":1}}}}"#
    );
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let rejected = r#"{"event_id":null,"status":"rejected","error":"no"}"#;
    let results_of = |item: &str| normal().body(format!(r#"{{"results":[{item}]}}"#));
    let templates = vec![
        ("body of 1 GiB", normal().body_size(1 << 30)),
        ("endless chunked body", normal().body_size(u64::MAX).chunked()),
        ("status 503 of 1 GiB", ResponseTemplate::status(503).body_size(1 << 30)),
        ("endless head", normal().endless_head()),
        ("byte a second", normal().pace(1, Duration::from_secs(1))),
        ("byte a millisecond", normal().body_size(1 << 30).pace(1, Duration::from_millis(1))),
        ("silence", ResponseTemplate::hang()),
        ("silence within the head", normal().pause(Position::InHead, HOUR)),
        ("silence within the body", normal().pause(Position::InBody, HOUR)),
        ("less than declared", normal().content_length(1 << 62)),
        ("end within the head", normal().cut(Position::InHead)),
        ("JSON 100,000 deep", normal().nested_json(100_000)),
        ("1 MiB of JSON, deep", normal().nested_json(1 << 19)),
        ("receipt of 10 MiB", results(rejected, 10 << 20)),
        ("1 MiB of results", results("{}", LARGEST)),
        ("1 MiB of results with members", results(r#"{"a":0}"#, LARGEST)),
        ("1 MiB of numbers", results("0", LARGEST)),
        ("1 MiB of members", normal().body(format!("{{{members}}}"))),
        ("error of 1 MiB", results_of(&format!(r#"{{"error":[{objects}0]}}"#))),
        ("number of 1 MiB", normal().body(format!(r#"{{"rejected":[{arrays}0],"results":7}}"#))),
        ("1 MiB of percentiles", results_of(&format!(r#"{{"prediction":{data}}}"#))),
        ("claim of gzip", encoded("gzip")),
        ("unknown encodings", encoded("x-unheard-of, br")),
    ];
    let headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(100_000));
    let raw = [
        ("100,000 headers", Raw(headers.into(), "")),
        ("endless status", Raw("HTTP/1.1 200 ".into(), "long ")),
        ("endless informational responses", Raw(Vec::new(), "HTTP/1.1 100 Continue\r\n\r\n")),
        ("endless chunk size", Raw(format!("{chunked}1;").into(), "long")),
        ("endless trailers", Raw(format!("{chunked}0\r\n").into(), "a: b\r\n")),
        ("response before a request", Early("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")),
    ];
    let templates = templates.into_iter().map(|(name, it)| (name, Reply::Template(it.into())));
    templates.chain(raw).collect()
}

/// A list of at most `size` bytes.
fn results(item: &str, size: usize) -> ResponseTemplate {
    let items = format!("{item},").repeat((size - 100) / (item.len() + 1));
    ResponseTemplate::normal().body(format!(r#"{{"results":[{items}{item}]}}"#))
}

/// A body that begins like a gzip file.
fn encoded(encoding: &str) -> ResponseTemplate {
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    body.resize(LARGEST, 0x5a);
    ResponseTemplate::normal().header("content-encoding", encoding).body(body)
}

/// A server that sends `reply` while `is_hostile`, and accepts everything otherwise; `None` for a
/// response of the collector.
fn raw(reply: &Reply, is_hostile: &Arc<AtomicBool>) -> Option<Server> {
    let (once, again, waits) = match reply {
        Reply::Template(_) => return None,
        // Repeated, since each write is a system call.
        Raw(once, again) => (once.clone(), again.repeat(1_000), true),
        Early(once) => (once.as_bytes().to_vec(), String::new(), false),
    };
    let is_hostile = Arc::clone(is_hostile);
    let send = move |mut stream: TcpStream| -> io::Result<()> {
        let mut read = [0; 65_536];
        if waits && stream.read(&mut read)? == 0 {
            return Ok(());
        }
        stream.write_all(&once)?;
        while !again.is_empty() {
            stream.write_all(again.as_bytes())?;
        }
        while stream.read(&mut read)? > 0 {}
        Ok(())
    };
    Some(Server::speaking(move |stream, received| match is_hostile.load(Ordering::Acquire) {
        // The client may close at any time.
        true => drop(send(stream)),
        false => converse(stream, received, |_| answer("200 OK", "")),
    }))
}

/// A client that stores the peak of the memory held on the thread of its requests.
fn client(kind: Kind, url: &str, peak: &Arc<AtomicU64>) -> Client {
    let policy = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
    let config = config(url).retry_policy(policy).request_timeout(TIMEOUT).shutdown_timeout(AMPLE);
    let config = config.build().expect("a configuration");
    if kind == Kind::Tokio {
        // On the calling thread, whose allocations are counted.
        return Client::on(current_thread(), || AsyncTelemetryClient::start(config));
    }
    let (ureq, peak) = (UreqTransport::new(), Arc::clone(peak));
    Client::Blocking(TelemetryClient::with_transport(config, move |request: Request| {
        let (result, _, held) = allocated(|| ureq.send(request));
        peak.fetch_max(held, Ordering::Relaxed);
        result
    }))
}

fn check(name: &str, reply: &Reply, kind: Kind) {
    let (collector, is_hostile) = (collector(), Arc::<AtomicBool>::default());
    let raw = raw(reply, &is_hostile);
    let url = raw.as_ref().map_or_else(|| collector.url().into(), Server::url);
    let peak = Arc::<AtomicU64>::default();
    let client = client(kind, &url, &peak);

    is_hostile.store(true, Ordering::Release);
    if let Reply::Template(answer) = reply {
        collector.fault(ResponseTemplate::clone(answer));
    }
    for _ in 0..if long_tests() { 5 } else { 1 } {
        track(&client.handle(), 3);
        let calls: [&dyn Fn() -> bool; 2] =
            [&|| client.flush(AMPLE).is_ok(), &|| client.refresh(&[query(0)]).is_ok()];
        for call in calls {
            let start = now();
            let (_, _, held) = allocated(call);
            let (took, held) = (start.elapsed(), held.max(peak.load(Ordering::Relaxed)));
            assert!(held < MOST, "{name}, {kind:?}: {held} bytes");
            // A hang would last for an hour; less is the machine's delay.
            assert!(took < TIMEOUT + AMPLE, "{name}, {kind:?}: {took:?}");
        }
    }

    is_hostile.store(false, Ordering::Release);
    collector.clear_faults();
    let last = track(&client.handle(), 3)[2];
    // A pooled connection may be broken, and the machine may be busy.
    let delivers = (0..20).any(|_| client.flush(AMPLE).is_ok());
    let stats = client.stop();
    assert!(delivers && stats.is_balanced(), "{name}, {kind:?}: {stats:?}");
    assert_eq!((stats.pending, stats.panics), (0, 0), "{name}, {kind:?}");
    let is_taken = match raw {
        Some(server) => server.received().concat().contains(&last.to_string()),
        None => ids(&collector).last() == Some(&last),
    };
    assert!(is_taken, "{name}, {kind:?}");
}

#[test]
fn hostile_server_costs_bounded_memory_and_time() {
    let replies = replies();
    let cases = replies.iter().flat_map(|(name, reply)| Kind::ALL.map(|kind| (name, reply, kind)));
    let cases = Mutex::new(cases);
    let next = || cases.lock().expect("not poisoned").next();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, reply, kind)) = next() {
                    check(name, reply, kind);
                }
            });
        }
    });
}

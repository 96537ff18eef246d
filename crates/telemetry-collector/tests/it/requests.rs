//! Recorded requests.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use telemetry_collector::{Authorization, Collector};

use crate::client::{Client, EVENTS, batch, event};

#[test]
fn request_is_recorded_without_its_key() {
    let collector = Collector::start().unwrap();
    let (mut one, mut other) = (Client::new(&collector), Client::new(&collector));
    let body = batch([event(1)]);
    one.request_with(EVENTS, &[("User-Agent", "test"), ("authorization", "Bearer cafe")], &body);
    other.request("GET /nowhere?a=b", b"");
    one.request("GET /", b"");

    let requests = collector.requests();
    let ids: Vec<_> = requests.iter().map(|it| (it.number, it.connection, it.has_key())).collect();
    assert_eq!(ids, [(1, 1, true), (2, 2, false), (3, 1, false)]);
    assert!(requests[0].time > Duration::ZERO && requests.is_sorted_by_key(|it| it.time));
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/events/batch"));
    assert_eq!(
        (request.header("user-agent"), request.header("USER-AGENT")),
        (Some("test"), Some("test"))
    );
    assert_eq!((request.header("authorization"), request.header("x")), (None, None));
    assert_eq!((request.authorization, &request.body[..]), (Authorization::Valid, &body[..]));
    assert_eq!(requests[1].path, "/nowhere?a=b");
    assert!(!format!("{requests:?}").contains("cafe"));
}

#[test]
fn callback_runs_before_the_response() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let collector = Collector::builder()
        .on_request(move |request| record.lock().unwrap().push(request.number))
        .start()
        .unwrap();
    let mut client = Client::new(&collector);
    for number in 1..=2 {
        client.request("GET /", b"");
        assert_eq!(seen.lock().unwrap().last(), Some(&number));
    }
}

#[test]
fn bytes_that_are_not_http_are_not_counted() {
    let collector = Collector::start().unwrap();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..], b"\r\n\r\n\r\n", b"GET\r\n\r\n"] {
        Client::new(&collector).write(bytes).unwrap();
    }
    // Half a request, then a close.
    Client::new(&collector).write("POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
    let mut client = Client::new(&collector);
    let large = "x".repeat(60_000);
    assert_eq!(client.request_with("GET /", &[("x", &large)], b"").status, 200);
    assert_eq!(collector.totals().requests, 1);
}

//! Responses from templates.

use std::{io, time::Duration};

use telemetry_collector::{Collector, Position, ResponseTemplate};

use crate::client::{Client, EVENTS, TIMEOUT, batch, event, ids, report};

/// A collector that responds to everything with this template, and a client that has posted an
/// event to it.
fn posted(template: ResponseTemplate) -> (Collector, Client) {
    let collector = Collector::start().expect("a free port");
    collector.fault(template);
    let mut client = Client::new(&collector);
    client.post(1);
    (collector, client)
}

/// Splits a response into its head and its body.
fn split(response: &[u8]) -> (&str, &[u8]) {
    let end = response.windows(4).position(|it| it == b"\r\n\r\n").expect("the head ends") + 4;
    (str::from_utf8(&response[..end]).expect("the head is text"), &response[end..])
}

#[test]
fn scripted_status_replaces_the_processing_of_one_request() {
    let collector = Collector::start().unwrap();
    collector.script([ResponseTemplate::status(429).header("Retry-After", "7")]);
    collector.script([
        ResponseTemplate::status(503).header("content-type", "text/html").body("<html>"),
        ResponseTemplate::status(200),
        ResponseTemplate::status(204),
        ResponseTemplate::redirect(307, "http://127.0.0.1:1"),
    ]);
    let mut client = Client::new(&collector);
    let mut next = || client.request(EVENTS, &batch([event(1)]));

    let response = next();
    assert_eq!((response.status, response.header("retry-after")), (429, Some("7")));
    assert_eq!(response.error(), "scripted");
    let response = next();
    assert_eq!((response.status, response.header("content-type")), (503, Some("text/html")));
    assert_eq!(response.body, b"<html>");
    assert_eq!((next().status, next().status), (200, 204));
    let response = next();
    let location = Some("http://127.0.0.1:1/v1/events/batch");
    assert_eq!((response.status, response.header("location")), (307, location));
    assert_eq!(ids(&collector), []);
    assert_eq!(next().status, 200);
    assert_eq!(ids(&collector), [1]);
    let totals = collector.totals();
    assert_eq!((totals.requests, totals.refused, totals.batches), (6, 3, 1));
}

#[test]
fn normal_template_processes_the_request_before_its_delay() {
    let collector = Collector::start().unwrap();
    collector.script([
        ResponseTemplate::normal().body("no JSON").header("x-extra", "1"),
        ResponseTemplate::normal().delay(Duration::MAX),
    ]);
    let response = report(&collector, [event(1)]);
    assert_eq!((response.status, response.header("x-extra")), (200, Some("1")));
    assert_eq!(response.body, b"no JSON");
    let mut delayed = Client::new(&collector);
    delayed.post(2);
    assert!(collector.wait_for(TIMEOUT, |totals| totals.accepted == 2));
    collector.stop();
    assert!(delayed.receive().is_err());
}

#[test]
fn close_takes_effect_before_or_after_processing() {
    for (template, accepted, duplicates) in [
        (ResponseTemplate::close(), vec![], 0),
        (ResponseTemplate::close_after_processing(), vec![1], 1),
    ] {
        let (collector, mut client) = posted(template);
        assert_eq!(client.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(ids(&collector), accepted);
        collector.clear_faults();
        assert_eq!(report(&collector, [event(1)]).status, 200, "the retry");
        let totals = collector.totals();
        assert_eq!((totals.accepted, totals.duplicates, totals.refused), (1, duplicates, 0));
    }
}

#[test]
fn hang_blocks_one_connection_only() {
    let (collector, mut hanging) = posted(ResponseTemplate::hang());
    assert!(collector.wait_for(TIMEOUT, |totals| totals.requests == 1));
    collector.clear_faults();
    assert_eq!(report(&collector, [event(2)]).status, 200);
    assert_eq!(ids(&collector), [2]);
    collector.stop();
    assert!(hanging.receive().is_err());
}

#[test]
fn raw_response_has_the_head_and_the_body_of_its_template() {
    let normal = ResponseTemplate::normal;
    let status = ResponseTemplate::status;
    let chunks = format!("10000\r\n{}\r\n1\r\n \r\n0\r\n\r\n", " ".repeat(65_536));
    let nested = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    for (template, included, excluded, body) in [
        (
            status(503).header("x-extra", "1").body_size(3),
            &["HTTP/1.1 503 ", "content-length: 3\r\n", "connection: close\r\n", "x-extra: 1\r\n"]
                [..],
            "chunked",
            "   ",
        ),
        (
            normal().body_size(65_537).chunked(),
            &["transfer-encoding: chunked\r\n"],
            "length",
            &chunks,
        ),
        (normal().body("").chunked(), &["transfer-encoding: chunked\r\n"], "length", "0\r\n\r\n"),
        (normal().nested_json(100_000), &["content-length: 200000\r\n"], "chunked", &nested),
        (
            status(503).body("0123456789").cut(Position::InBody),
            &["length: 10\r\n"],
            "chunked",
            "01234",
        ),
        (normal().body("{}").content_length(1 << 20), &["length: 1048576\r\n"], "chunked", "{}"),
        (normal().body("[] {}").content_length(2), &["length: 2\r\n"], "chunked", "[] {}"),
        (
            normal().invalid_json().close_afterwards(),
            &["HTTP/1.1 200 "],
            "connection",
            r#"{"accepted":1,"results":[{"event_id":"#,
        ),
        (normal().body("a").close_afterwards(), &["length: 1\r\n"], "connection", "a"),
    ] {
        let name = template.to_string();
        let (_collector, client) = posted(template);
        let response = client.rest();
        let (head, found) = split(&response);
        assert!(included.iter().all(|line| head.contains(line)), "{name}: {head}");
        assert!(!head.contains(excluded), "{name}: {head}");
        assert!(found == body.as_bytes(), "{name}: {} bytes", found.len());
    }
}

#[test]
fn response_that_must_not_have_a_body_has_none() {
    for (template, line, has_length) in [
        (ResponseTemplate::status(204), "POST /", false),
        (ResponseTemplate::status(304), "GET /", false),
        (ResponseTemplate::status(200), "HEAD /", true),
    ] {
        for change in [ResponseTemplate::chunked, ResponseTemplate::close_afterwards] {
            let collector = Collector::start().unwrap();
            collector.fault(change(template.clone().body("some")));
            let mut client = Client::new(&collector);
            client.send(line, &[], b"");
            let response = client.rest();
            let (head, body) = split(&response);
            assert_eq!((body, head.contains("chunked")), (&b""[..], false), "{line} {head}");
            assert_eq!(head.contains("content-length: 4\r\n"), has_length, "{line} {head}");
        }
    }
}

#[test]
fn endless_head_has_distinct_headers_and_blocks_no_other_connection() {
    let (collector, mut client) = posted(ResponseTemplate::normal().endless_head());
    let (mut head, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while head.len() < 4 << 20 {
        let read = client.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "it has ended");
        head.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(!head.contains("\r\n\r\n"), "it has ended");
    let names = head.lines().filter_map(|line| line.strip_prefix("x-endless-")?.split_once(": "));
    let mut names: Vec<_> = names.map(|(name, _)| name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), count > 30_000), (count, true));
    collector.clear_faults();
    assert_eq!(report(&collector, [event(2)]).status, 200);
}

#[test]
fn stop_is_prompt_during_every_response() {
    let forever = Duration::MAX;
    let collector = Collector::start().unwrap();
    let normal = ResponseTemplate::normal;
    let templates = [
        ResponseTemplate::hang(),
        normal().delay(forever),
        normal().pace(1, forever),
        normal().pause(Position::InHead, forever),
        normal().endless_head(),
        normal().body_size(u64::MAX),
        normal().body_size(u64::MAX).chunked(),
        normal().nested_json(u64::MAX),
        // Leaves the connection idle.
        normal(),
    ];
    let count = templates.len();
    collector.script(templates);
    let mut clients: Vec<_> = (0..count).map(|_| Client::new(&collector)).collect();
    clients.iter_mut().for_each(|client| client.post(1));
    assert!(collector.wait_for(TIMEOUT, |totals| totals.requests == count as u64));
    collector.stop();
    // Ends, after the bytes that were sent before the stop.
    clients.into_iter().for_each(|client| drop(client.rest()));
}

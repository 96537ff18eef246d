//! Answers that go out as no well-behaved server sends them.

use std::{
    io,
    time::{Duration, Instant},
};

use telemetry_collector::{Collector, Position, ResponseTemplate};

use crate::client::{Client, TOO_LONG, event, ids, report};

/// A head and what follows it.
fn split(answer: &[u8]) -> (&str, &[u8]) {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head ends");
    (str::from_utf8(&answer[..end + 2]).expect("a head is text"), &answer[end + 4..])
}

/// A collector with this answer for all, a client of it that has reported an event, and the time
/// from which it waits.
fn asked(answer: ResponseTemplate) -> (Collector, Client, Instant) {
    let collector = Collector::start().expect("a free port");
    collector.fault(answer);
    let mut client = Client::new(&collector);
    let start = now();
    client.post(1);
    (collector, client, start)
}

#[expect(clippy::disallowed_methods, reason = "delays are those of the real clock")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_body_of_a_gibibyte_is_sent_as_declared() {
    let size = 1 << 30;
    let (collector, mut client, _) = asked(ResponseTemplate::normal().body_size(size));
    let (mut buffer, spaces) = (vec![0; 1 << 20], vec![b' '; 1 << 20]);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(client.some(&mut byte).unwrap(), 1);
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-length: 1073741824\r\n"), "{head}");
    assert!(head.contains("connection: close\r\n"), "{head}");
    let mut body = 0;
    loop {
        let read = client.some(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        body += read as u64;
        assert!(buffer[..read] == spaces[..read]);
    }
    assert_eq!(body, size);
    assert_eq!(ids(&collector), [1], "the usual answer takes the events");
}

#[test]
fn a_body_in_chunks_has_no_length_until_its_end() {
    let (_collector, client, _) = asked(ResponseTemplate::status(500).body_size(200_000).chunked());
    let answer = client.rest();
    let (head, mut body) = split(&answer);
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    let mut sizes = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = str::from_utf8(&body[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        assert_eq!(&body[end + 2 + size..end + 4 + size], b"\r\n");
        body = &body[end + 4 + size..];
        sizes.push(size);
        if size == 0 {
            break;
        }
    }
    assert!(body.is_empty() && sizes.len() > 2, "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 200_000);
}

#[test]
fn an_empty_body_in_chunks_has_an_end() {
    let (_collector, client, _) = asked(ResponseTemplate::normal().body("").chunked());
    let answer = client.rest();
    assert_eq!(split(&answer).1, b"0\r\n\r\n");
}

#[test]
fn an_answer_without_a_body_has_none() {
    for (answer, line, length) in [
        (ResponseTemplate::status(204), "POST /", false),
        (ResponseTemplate::status(304), "GET /", false),
        (ResponseTemplate::status(200), "HEAD /", true),
    ] {
        for manner in [ResponseTemplate::chunked, ResponseTemplate::close_afterwards] {
            let collector = Collector::start().unwrap();
            collector.fault(manner(answer.clone().body("some")));
            let mut client = Client::new(&collector);
            client.send(line, &[], b"");
            let answer = client.rest();
            let (head, body) = split(&answer);
            assert_eq!((body, head.contains("chunked")), (&b""[..], false), "{line} {head}");
            assert_eq!(head.contains("content-length: 4\r\n"), length, "{line} {head}");
        }
    }
}

#[test]
fn json_can_be_nested_deep_or_cut_off() {
    let (_collector, mut client, _) = asked(ResponseTemplate::normal().nested_json(100_000));
    let body = client.receive().unwrap().body;
    assert_eq!(body, ["[".repeat(100_000), "]".repeat(100_000)].concat().into_bytes());

    let (_collector, mut client, _) = asked(ResponseTemplate::normal().invalid_json());
    let answered = client.receive().unwrap();
    assert_eq!(answered.status, 200);
    let error = serde_json::from_slice::<serde_json::Value>(&answered.body).unwrap_err();
    assert!(error.is_eof(), "{error}");
}

#[test]
fn a_head_without_end_goes_on_while_the_client_reads() {
    let (collector, mut client, _) = asked(ResponseTemplate::normal().endless_head());
    let mut head = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while head.len() < 4 << 20 {
        let read = client.some(&mut buffer).unwrap();
        assert_ne!(read, 0, "it has ended");
        head.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(!head.contains("\r\n\r\n"), "it has ended");
    let mut names: Vec<_> = head
        .lines()
        .skip(1)
        .filter(|line| line.len() > 80)
        .map(|line| line.split(": ").next())
        .collect();
    // The last may have been read in part.
    names.pop();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), all > 30_000), (all, true), "each has a name of its own");
    // Nobody else waits for it.
    collector.clear_faults();
    assert_eq!(report(&collector, [event(2)]).status, 200);
}

#[test]
fn bytes_can_be_counted_out() {
    let interval = Duration::from_millis(1);
    let answer = ResponseTemplate::status(503).body("0123456789").pace(7, interval);
    let (_collector, client, start) = asked(answer);
    let answer = client.rest();
    let took = start.elapsed();
    assert_eq!(split(&answer).1, b"0123456789");
    // An interval after each seven bytes, and no less than that.
    assert!(took >= interval * (answer.len() / 7) as u32, "{took:?}");
}

#[test]
fn a_byte_comes_before_the_next_one_is_due() {
    let (collector, mut client, _) = asked(ResponseTemplate::normal().pace(1, Duration::MAX));
    let mut buffer = [0; 1];
    assert_eq!(client.some(&mut buffer).unwrap(), 1);
    assert_eq!(buffer[0], b'H');
    collector.stop();
    assert_eq!(client.rest(), b"", "the next one is never due");
}

#[test]
fn an_answer_stops_where_it_is_to_pause() {
    let usual = {
        let (_collector, client, _) = asked(ResponseTemplate::normal().close_afterwards());
        client.rest()
    };
    let (head, body) = split(&usual);
    let closing = "connection: close\r\n".len();
    let whole = head.len() + closing + 2;
    for (place, sent) in [
        (Position::InHead, whole / 2),
        (Position::InBody, whole + body.len() / 2),
        (Position::After(3), 3),
    ] {
        // For ever, so that what came is all that comes.
        let (collector, mut client, _) =
            asked(ResponseTemplate::normal().pause(place, Duration::MAX));
        let mut buffer = vec![0; sent + 1];
        let mut read = 0;
        while read < sent {
            read += client.some(&mut buffer[read..]).unwrap();
        }
        assert_eq!(read, sent, "{place:?}");
        collector.stop();
        assert_eq!(client.rest(), b"", "{place:?}");
    }
    // For a while: then comes the rest.
    let pause = Duration::from_millis(20);
    let (_collector, client, start) =
        asked(ResponseTemplate::normal().pause(Position::InBody, pause));
    assert_eq!(client.rest().len(), usual.len() + closing);
    assert!(start.elapsed() >= pause);
}

#[test]
fn a_pause_after_an_empty_body_is_before_the_end() {
    let pause = Duration::from_millis(20);
    let (_collector, client, start) =
        asked(ResponseTemplate::normal().body("").pause(Position::InBody, pause));
    assert!(client.rest().ends_with(b"\r\n\r\n"));
    assert!(start.elapsed() >= pause);
}

#[test]
fn an_answer_is_cut_where_it_is_to_be() {
    let (_collector, client, _) =
        asked(ResponseTemplate::status(503).body("0123456789").cut(Position::InBody));
    let answer = client.rest();
    let (head, body) = split(&answer);
    assert!(head.contains("content-length: 10\r\n"), "{head}");
    assert_eq!(body, b"01234");

    let (_collector, client, _) = asked(ResponseTemplate::status(503).cut(Position::InHead));
    let answer = client.rest();
    assert!(answer.starts_with(b"HTTP/1.1 503 ") && !answer.ends_with(b"\r\n\r\n"), "{answer:?}");

    let (_collector, client, _) = asked(ResponseTemplate::status(503).cut(Position::After(4)));
    assert_eq!(client.rest(), b"HTTP");
    let (_collector, client, _) = asked(ResponseTemplate::status(503).cut(Position::After(0)));
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_length_can_be_a_lie() {
    let (_collector, mut client, _) =
        asked(ResponseTemplate::normal().body("{}").content_length(1 << 20));
    let error = client.receive().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let (_collector, mut client, _) =
        asked(ResponseTemplate::normal().body("[] {}").content_length(2));
    assert_eq!(client.receive().unwrap().body, b"[]");
    assert_eq!(client.rest(), b" {}", "more than was declared");
}

#[test]
fn a_connection_can_end_unannounced() {
    let (_collector, mut client, _) = asked(ResponseTemplate::normal().close_afterwards());
    let answered = client.receive().unwrap();
    assert_eq!((answered.status, answered.header("connection")), (200, None));
    assert_eq!(client.rest(), b"");
}

#[test]
fn headers_and_delay_hold_for_what_is_written_by_hand() {
    let delay = Duration::from_millis(20);
    let answer = ResponseTemplate::normal().header("x-extra", "1").delay(delay).body_size(3);
    let (_collector, mut client, start) = asked(answer);
    let answered = client.receive().unwrap();
    assert!(start.elapsed() >= delay);
    assert_eq!(answered.header("x-extra"), Some("1"));
    assert_eq!(answered.header("content-type"), Some("application/json"));
    assert_eq!(answered.body, b"   ");
}

#[test]
fn stopping_is_prompt_with_every_fault_under_way() {
    let forever = Duration::MAX;
    let collector = Collector::start().unwrap();
    let answers = [
        ResponseTemplate::hang(),
        ResponseTemplate::normal().delay(forever),
        ResponseTemplate::normal().pace(1, forever),
        ResponseTemplate::normal().pause(Position::InHead, forever),
        ResponseTemplate::normal().endless_head(),
        ResponseTemplate::normal().body_size(u64::MAX),
        ResponseTemplate::normal().body_size(u64::MAX).chunked(),
        ResponseTemplate::normal().nested_json(u64::MAX),
    ];
    let count = answers.len();
    collector.script(answers);
    let clients: Vec<_> = (0..count)
        .map(|_| {
            let mut client = Client::new(&collector);
            client.post(1);
            client
        })
        .collect();
    assert!(collector.wait_for(TOO_LONG, |totals| totals.requests == count as u64));
    collector.stop();
    // What was under way before the end may still be read.
    for client in clients {
        client.rest();
    }
}

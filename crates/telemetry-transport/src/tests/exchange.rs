//! Requests, responses and errors.

use std::{
    io::{Read, Write},
    time::Duration,
};

use super::{
    LONG, New, SHORT, for_each_transport, post, post_within,
    server::{accept_all, connect, read_request, respond, server},
};
use crate::{Idempotent, MAX_RESPONSE_BYTES, Request, Timeout, TransportError};

for_each_transport! {
    requests_arrive_unchanged_over_one_connection
    every_status_is_a_response_and_redirects_are_not_followed
    endless_body_is_truncated_and_its_connection_closed
    response_whose_body_breaks_off_keeps_its_head
    failed_exchange_is_a_network_error_or_a_timeout
    request_that_may_have_arrived_is_not_sent_again
    idempotent_request_is_sent_once_more_if_the_connection_closes
    second_attempt_has_the_rest_of_the_timeout
    unreachable_server_is_a_network_error
    unusable_url_is_a_permanent_error;
}

fn requests_arrive_unchanged_over_one_connection(new: New) {
    let (url, server) = server(1, |mut stream| accept_all(&mut stream));
    let transport = new(&[], None);
    for timeout in [Timeout::DEFAULT, LONG, Duration::MAX] {
        let response = transport.send(post_within(timeout, &url)).unwrap();
        assert_eq!((response.status().as_u16(), response.body().as_slice()), (200, &b"done"[..]));
        assert_eq!(response.headers()["x-one"], "1");
    }
    drop(transport);
    let requests = server.join().unwrap().remove(0);
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert!(request.starts_with("post /v1 http/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nauthorization: bearer key\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n{\"events\":[]}"), "{request}");
    }
}

fn every_status_is_a_response_and_redirects_are_not_followed(new: New) {
    for status in [
        "204 No Content",
        "307 Temporary Redirect\r\nlocation: /elsewhere",
        "400 Bad Request",
        "503 Service Unavailable",
    ] {
        let (url, server) = server(2, move |mut stream| {
            let request = read_request(&mut stream);
            // The close delimits the response, so that a second request needs another connection.
            let _ = write!(stream.get_mut(), "HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
            request.is_some()
        });
        let response = new(&[], None).send(post(&url)).unwrap();
        assert_eq!(response.status().as_str(), &status[..3]);
        connect(&url);
        assert_eq!(server.join().unwrap(), [true, false], "{status}: one request");
    }
}

fn endless_body_is_truncated_and_its_connection_closed(new: New) {
    for head in ["", "content-length: 99999999\r\n"] {
        let (url, server) = server(2, move |mut stream| {
            read_request(&mut stream);
            write!(stream.get_mut(), "HTTP/1.1 200 OK\r\n{head}\r\n").unwrap();
            // Ends when the client closes the connection.
            while stream.get_mut().write_all(&[b'x'; 4096]).is_ok() {}
        });
        let transport = new(&[], None);
        for _ in 0..2 {
            let response = transport.send(post(&url)).unwrap();
            assert_eq!(response.body().len(), MAX_RESPONSE_BYTES);
        }
        server.join().unwrap();
    }
}

fn response_whose_body_breaks_off_keeps_its_head(new: New) {
    let chunked = "transfer-encoding: chunked\r\n\r\n4\r\n1234\r\n";
    for (rest, waits) in [
        ("content-length: 9\r\n\r\n1234", false),
        ("content-length: 9\r\n\r\n1234", true),
        (chunked, false),
        (chunked, true),
        // An invalid length of a chunk.
        (&format!("{chunked}?\r\n"), false),
    ] {
        let head = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 60\r\n";
        let response = format!("{head}{rest}");
        let (url, server) = server(2, move |mut stream| {
            let Some(_) = read_request(&mut stream) else { return false };
            stream.get_mut().write_all(response.as_bytes()).unwrap();
            !waits || stream.read_to_end(&mut Vec::new()).is_ok()
        });
        let transport = new(&[], None);
        let request = post_within(if waits { SHORT } else { LONG }, &url);
        let response = transport.send(request).unwrap();
        assert_eq!(response.status(), 503, "{rest}");
        assert_eq!(response.headers()["retry-after"], "60");
        // ureq gives up what it had buffered before an invalid chunk.
        assert!(response.body() == b"1234" || rest.contains('?'), "{rest}: {response:?}");
        connect(&url);
        assert_eq!(server.join().unwrap(), [true, false], "{rest}: one request");
    }
}

fn failed_exchange_is_a_network_error_or_a_timeout(new: New) {
    /// The action after the first bytes of the response.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Then {
        Close,
        Wait,
        Repeat(&'static str),
    }

    for (scheme, part, then) in [
        ("http:", "", Then::Close),
        ("http:", "HTTP/1.1 200 OK\r\nconte", Then::Close),
        ("http:", "??\r\n\r\n", Then::Close),
        ("http:", "HTTP/1.1 200 OK\r\nx-long: ", Then::Repeat("without an end")),
        ("http:", "HTTP/1.1 200 OK\r\n", Then::Repeat("x-many: 1\r\n")),
        ("http:", "", Then::Wait),
        ("https:", "", Then::Wait),
    ] {
        let (url, server) = server(1, move |mut stream| {
            read_request(&mut stream);
            let _ = stream.get_mut().write_all(part.as_bytes());
            match then {
                Then::Close => (),
                Then::Wait => drop(stream.read_to_end(&mut Vec::new())),
                Then::Repeat(part) => while stream.get_mut().write_all(part.as_bytes()).is_ok() {},
            }
        });
        let timeout = if then == Then::Wait { SHORT } else { LONG };
        let request = post_within(timeout, &url.replace("http:", scheme));
        match new(&[], None).send(request) {
            Err(TransportError::Timeout) if then == Then::Wait => (),
            Err(TransportError::Network(_)) if then != Then::Wait => (),
            result => panic!("{scheme} {part} {then:?}: {result:?}"),
        }
        server.join().unwrap();
    }
}

fn request_that_may_have_arrived_is_not_sent_again(new: New) {
    let (url, server) = server(2, |mut stream| {
        let first = read_request(&mut stream).is_some();
        respond(&mut stream, "200 OK", "");
        let second = first && read_request(&mut stream).is_some();
        (first, second)
    });
    let transport = new(&[], None);
    assert!(transport.send(post(&url)).is_ok());
    let error = transport.send(post(&url)).unwrap_err();
    assert!(matches!(error, TransportError::Network(_)), "{error:?}");
    connect(&url);
    assert_eq!(server.join().unwrap(), [(true, true), (false, false)]);
}

fn idempotent_request_is_sent_once_more_if_the_connection_closes(new: New) {
    let idempotent = |url: &str| idempotent_within(LONG, url);
    // A kept connection, which is closed at its second request.
    let (url, server) = server(2, |mut stream| {
        let first = read_request(&mut stream).is_some();
        respond(&mut stream, "200 OK", "");
        (first, read_request(&mut stream).is_some())
    });
    let transport = new(&[], None);
    for _ in 0..2 {
        assert!(transport.send(idempotent(&url)).is_ok());
    }
    drop(transport);
    assert_eq!(server.join().unwrap(), [(true, true), (true, false)]);

    // A server that never responds gets it twice.
    let (url, server) = self::server(3, |mut stream| read_request(&mut stream).is_some());
    let error = new(&[], None).send(idempotent(&url)).unwrap_err();
    assert!(matches!(error, TransportError::Network(_)), "{error:?}");
    connect(&url);
    assert_eq!(server.join().unwrap(), [true, true, false]);
}

fn idempotent_within(timeout: Duration, url: &str) -> Request {
    let mut request = post_within(timeout, url);
    request.extensions_mut().insert(Idempotent);
    request
}

fn second_attempt_has_the_rest_of_the_timeout(new: New) {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let most = TIMEOUT * 3 / 4;
    // Both connections are closed without a response after most of the timeout, unless the client
    // closes them before.
    let (url, server) = server(2, move |mut stream| {
        read_request(&mut stream);
        stream.get_ref().set_read_timeout(Some(most)).unwrap();
        stream.read_to_end(&mut Vec::new()).is_ok()
    });
    let error = new(&[], None).send(idempotent_within(TIMEOUT, &url)).unwrap_err();
    assert!(matches!(error, TransportError::Timeout), "{error:?}");
    assert_eq!(server.join().unwrap(), [false, true], "the client closes the second one");
}

fn unreachable_server_is_a_network_error(new: New) {
    let (closed, server) = server(0, |_| ());
    server.join().unwrap();
    // Too long for DNS, so that no query leaves the machine.
    let unknown = format!("http://{}/", "a".repeat(64));
    for (url, reason) in [(closed, "refused"), (unknown, "")] {
        let error = new(&[], None).send(post(&url)).unwrap_err();
        assert!(matches!(error, TransportError::Network(_)), "{url}: {error:?}");
        assert!(error.to_string().to_lowercase().contains(reason), "{error}");
    }
}

fn unusable_url_is_a_permanent_error(new: New) {
    // Not a TLS server.
    let (url, server) = server(1, |mut stream| {
        let _ = stream.get_mut().write_all(b"this is not TLS at all\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    let transport = new(&[], None);
    for url in [&url.replace("http:", "https:"), "ftp://127.0.0.1/v1", "/v1"] {
        let error = transport.send(post(url)).unwrap_err();
        assert!(matches!(error, TransportError::Other(_)), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("Bearer"), "{error:?}");
    }
    connect(&url);
    server.join().unwrap();
}

#[cfg(feature = "ureq")]
#[test]
fn clones_of_a_ureq_transport_share_connections() {
    let (url, server) = server(1, |mut stream| accept_all(&mut stream).len());
    let transport = crate::UreqTransport::new();
    for clone in [transport.clone(), transport.clone(), transport] {
        assert!(crate::Transport::send(&clone, post(&url)).is_ok());
    }
    assert_eq!(server.join().unwrap(), [3]);
}

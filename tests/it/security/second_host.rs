//! No second host gets a request, and a redirect causes no further request to the server.

use telemetry_tests::KEY;

use super::{
    clients::{Transports, Way, live},
    servers::{Server, answer},
};
use crate::blocking::eager;

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Server::speaking(|_, received| {
        received.lock().expect("not poisoned").push("a connection".into());
    });
    let port = elsewhere.port();
    let places = [
        format!("http://127.0.0.1:{port}/v1/events/batch"),
        format!("http://localhost:{port}/v1/events/batch"),
        format!("//127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("http://user:{KEY}@127.0.0.1:{port}/"),
        "/elsewhere".into(),
        "?elsewhere".into(),
    ];
    for &way in Way::some() {
        for place in &places {
            for status in [300, 301, 302, 303, 305, 307, 308, 201, 401, 407, 503] {
                let head = format!(
                    "{status} There\r\nlocation: {place}\r\nrefresh: 0; url={place}\r\n\
                     content-location: {place}\r\nlink: <{place}>; rel=canonical\r\n\
                     alt-svc: http/1.1=\":{port}\"\r\nproxy-authenticate: Bearer\r\n\
                     www-authenticate: Bearer realm=\"{place}\""
                );
                let server = Server::answering(move |_| answer(&head, ""));
                live(way, eager(&server.url()), &Transports::new());
                let received = server.received();
                let reports = received.iter().filter(|it| it.starts_with("POST /v1/events/batch "));
                let asked = received.iter().filter(|it| it.starts_with("POST /v1/predictions/b"));
                let (reports, asked) = (reports.count(), asked.count());
                assert_eq!(reports + asked, received.len(), "{way:?} {status}: {received:?}");
                // One for the flush and one for the last drain; four each if it is retried.
                let expected = match status {
                    201 => 1,
                    503 => 8,
                    _ => 2,
                };
                assert_eq!((reports, asked), (expected, 1), "{way:?} {status} {place}");
            }
        }
    }
    assert_eq!(elsewhere.received(), [""; 0], "a client connected elsewhere");
}

#[test]
fn prediction_requests_have_no_key() {
    for &way in Way::some() {
        let server = Server::answering(|_| answer("200 OK", "{\"results\":[null]}"));
        live(way, eager(&server.url()), &Transports::new());
        let received = server.received();
        let (reports, asked): (Vec<_>, Vec<_>) =
            received.iter().partition(|it| it.contains("/v1/events/batch"));
        assert_eq!((reports.len(), asked.len()), (1, 1), "{received:?}");
        assert!(reports[0].contains(&format!("\r\nauthorization: Bearer {KEY}\r\n")));
        assert!(!asked[0].to_lowercase().contains("authorization"), "{asked:?}");
    }
}

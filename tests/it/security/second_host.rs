//! No second host gets the key, and a redirect causes no further request to the server.

use mosaicstack_telemetry::Health;
use telemetry_tests::{KEY, track};

use super::{
    runs::run,
    search::Search,
    servers::{Server, answer},
};
use crate::{
    client::{Client, Kind},
    support::{AMPLE, eager, run_alone},
};

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
    for (kind, place) in
        Kind::ALL.into_iter().flat_map(|kind| places.iter().map(move |it| (kind, it)))
    {
        for status in [300, 301, 302, 303, 305, 307, 308, 201, 401, 407, 503] {
            let head = format!(
                "{status} There\r\nlocation: {place}\r\nrefresh: 0; url={place}\r\n\
                 content-location: {place}\r\nlink: <{place}>; rel=canonical\r\n\
                 alt-svc: http/1.1=\":{port}\"\r\nproxy-authenticate: Bearer\r\n\
                 www-authenticate: Bearer realm=\"{place}\""
            );
            let server = Server::answering(move |_| answer(&head, ""));
            run(eager(&server.url()), |config| Client::start(kind, config));
            let received = server.received();
            let count = |path| received.iter().filter(|it| it.starts_with(path)).count();
            let reports = count("POST /v1/events/batch ");
            // One for the flush and one for the last drain; four each if it is retried.
            let expected = match status {
                201 => 1,
                503 => 8,
                _ => 2,
            };
            let requests = (reports, count("POST /v1/predictions/batch "), received.len());
            assert_eq!(requests, (expected, 1, expected + 1), "{kind:?} {status} {place}");
        }
    }
    assert_eq!(elsewhere.received(), [""; 0], "a client connected elsewhere");
}

#[test]
fn proxy_of_the_environment_is_asked_for_a_tunnel_without_the_key() {
    let proxy = Server::answering(|_| answer("502 Bad Gateway", ""));
    let url = proxy.url();
    let proxies = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"].map(|name| (name, &*url));
    let variables = [&proxies[..], &[("NO_PROXY", "")]].concat();
    if run_alone(proxy_of_the_environment_is_asked_for_a_tunnel_without_the_key, &variables)
        .is_none()
    {
        for kind in Kind::ALL {
            let url = "https://telemetry.invalid";
            let stats = run(eager(url), |config| Client::start(kind, config)).stats;
            assert_eq!((stats.pending, stats.requests), (3, 8));
        }
        return;
    }
    let asked = proxy.received();
    assert_eq!(asked.len(), 2 * 9, "eight requests with events and one for predictions");
    for request in asked {
        assert!(request.starts_with("CONNECT telemetry.invalid:443 "), "{request}");
        Search::new().must_not_find("a request for a tunnel", &request);
    }
}

#[test]
fn configured_proxy_that_refuses_is_asked_once_an_interval() {
    for (refusal, asks, health) in [
        ("407 Proxy Authentication Required", 1, Health::Misconfigured),
        ("403 Forbidden", 1, Health::Misconfigured),
        ("502 Bad Gateway", 4, Health::Retrying),
    ] {
        for kind in Kind::ALL {
            let proxy = Server::answering(move |_| answer(refusal, ""));
            let config = eager("https://telemetry.invalid").proxy(proxy.url()).build().unwrap();
            let client = Client::start(kind, config);
            track(&client.handle(), 3);
            client.flush(AMPLE).unwrap_err();
            assert_eq!(client.stats().health, health, "{kind:?} {refusal}");
            let asked = proxy.received();
            assert_eq!(asked.len(), asks, "{kind:?} {refusal}");
            assert!(asked[0].starts_with("CONNECT telemetry.invalid:443 "), "{asked:?}");
        }
    }
}

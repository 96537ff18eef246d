//! Bytes that a proxy sees.

use std::{
    io::{BufReader, Write},
    net::{Ipv4Addr, TcpStream},
};

use telemetry_tests::KEY;

use super::{
    authority::{Authority, NOW},
    clients::{Transports, Way, live},
    forms::Search,
    servers::{Received, Server, answer, relay, request},
};
use crate::{blocking::eager, guide::said_alone};

/// Root certificates and URL for the child process.
const ROOTS: &str = "TELEMETRY_TESTS_ROOTS";
const URL: &str = "TELEMETRY_TESTS_URL";

/// A proxy that resolves every name to loopback, and records the bytes of clients.
fn tunnel(mut stream: TcpStream, received: &Received) {
    let mut client = BufReader::new(stream.try_clone().expect("a connection"));
    let Some(asked) = request(&mut client, received) else { return };
    let target = asked.split_whitespace().nth(1).unwrap_or_default();
    let port = target.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let server = (Ipv4Addr::LOCALHOST, port).into();
    if stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok() {
        let _ = relay(client, stream, server, |bytes| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            received.lock().expect("not poisoned").push(text);
            true
        });
    }
}

#[test]
fn proxy_sees_the_key_only_if_plain_http_is_allowed() {
    let test = concat!(module_path!(), "::proxy_sees_the_key_only_if_plain_http_is_allowed");
    if let (Ok(roots), Ok(url)) = (std::env::var(ROOTS), std::env::var(URL)) {
        for &way in Way::some() {
            let config = eager(&url).allow_plain_http(true);
            let life = live(way, config, &Transports::trusting(roots.as_bytes()));
            assert_eq!(life.stats.delivered, 3, "{way:?}: {}", life.notices);
        }
        return;
    }
    let authority = Authority::new("ours");
    let mut search = Search::new();
    for scheme in ["https", "http"] {
        let identity = authority.identity("telemetry.invalid", NOW);
        let is_https = scheme == "https";
        let server = Server::start(
            move |stream| if is_https { identity.accept(stream) } else { Box::new(stream) },
            |_| answer("200 OK", "{\"results\":[null]}"),
        );
        let (proxy, port) = (Server::speaking(tunnel), server.port());
        let url = format!("{scheme}://telemetry.invalid:{port}");
        let (proxy_url, pem) = (proxy.url(), authority.pem());
        let proxies = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"].map(|name| (name, &*proxy_url));
        let variables = [("NO_PROXY", ""), (ROOTS, &*pem), (URL, &*url)];
        said_alone(test, &[&proxies[..], &variables].concat()).expect("this is the parent");
        let header = format!("\r\nauthorization: Bearer {KEY}\r\n");
        let reports = server.received().iter().filter(|it| it.contains(&header)).count();
        assert_eq!(reports, Way::some().len());
        let seen = proxy.received();
        let (asked, sent): (Vec<_>, Vec<_>) =
            seen.iter().partition(|it| it.starts_with("CONNECT telemetry.invalid:"));
        assert!(asked.len() >= Way::some().len() && sent.len() > asked.len(), "{seen:?}");
        for asked in asked {
            search.must_not_find("a request for a tunnel", asked);
        }
        let learns = sent.iter().any(|sent| search.find(sent).is_some());
        assert_eq!(learns, !is_https, "the proxy at {scheme}");
    }
}

//! What a proxy learns.

use std::{
    io::{self, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

use telemetry_tests::{KEY, evidence};

use super::{
    authority::{Authority, NOW},
    clients::{Transports, Way, live},
    forms::Search,
    servers::{Received, Server, answer, request},
};
use crate::{blocking::eager, guide::said_alone};

/// What the child process is told.
const ROOTS: &str = "TELEMETRY_TESTS_ROOTS";
const URL: &str = "TELEMETRY_TESTS_URL";

/// A proxy that makes every name its own machine, and writes down what a client sends through it.
fn proxy() -> Server {
    Server::speaking(|stream, received| {
        // A client that goes away is the client's affair.
        let _ = tunnel(stream, received);
    })
}

fn tunnel(mut stream: TcpStream, received: &Received) -> io::Result<()> {
    let mut reading = BufReader::new(stream.try_clone()?);
    let Some(asked) = request(&mut reading, received) else { return Ok(()) };
    let target = asked.split_whitespace().nth(1).unwrap_or_default();
    let port = target.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let mut onward = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from, mut to) = (onward.try_clone()?, stream);
    thread::spawn(move || {
        let copied = io::copy(&mut from, &mut to);
        drop((copied, to.shutdown(Shutdown::Both)));
    });
    let mut bytes = [0; 4096];
    loop {
        let length = reading.read(&mut bytes)?;
        if length == 0 {
            return onward.shutdown(Shutdown::Both);
        }
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        received.lock().expect("nobody panics").push(text);
        onward.write_all(&bytes[..length])?;
    }
}

#[test]
fn a_proxy_learns_the_key_only_if_plain_http_is_allowed_through_it() {
    let test = concat!(
        module_path!(),
        "::a_proxy_learns_the_key_only_if_plain_http_is_allowed_through_it"
    );
    if let (Ok(roots), Ok(url)) = (std::env::var(ROOTS), std::env::var(URL)) {
        for &way in Way::some() {
            let config = eager(&url).allow_plain_http(true);
            let life = live(way, config, &Transports::trusting(roots.as_bytes()));
            assert_eq!(life.stats.delivered, 3, "{way:?}: {}", life.notices);
        }
        return;
    }
    let authority = Authority::new("ours");
    let (mut search, mut tunnelled) = (Search::new(), 0);
    for scheme in ["https", "http"] {
        let identity = authority.identity("telemetry.invalid", NOW);
        let is_https = scheme == "https";
        let server = Server::start(
            move |stream| if is_https { identity.accept(stream) } else { Box::new(stream) },
            |_| answer("200 OK", "{\"results\":[null]}"),
        );
        let (proxy, port) = (proxy(), server.port());
        let url = format!("{scheme}://telemetry.invalid:{port}");
        let proxies = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"].map(|name| (name, proxy.url()));
        let mut variables: Vec<_> = proxies.iter().map(|(name, url)| (*name, &**url)).collect();
        let pem = authority.pem();
        variables.extend([("NO_PROXY", ""), (ROOTS, &*pem), (URL, &*url)]);
        said_alone(test, &variables).expect("this is the parent");
        let header = format!("\r\nauthorization: Bearer {KEY}\r\n");
        let reports = server.received().iter().filter(|it| it.contains(&header)).count();
        assert_eq!(reports, Way::some().len());
        let seen = proxy.received();
        let (asked, sent): (Vec<_>, Vec<_>) =
            seen.iter().partition(|it| it.starts_with("CONNECT telemetry.invalid:"));
        assert!(asked.len() >= Way::some().len() && sent.len() > asked.len(), "{seen:?}");
        for asked in asked {
            tunnelled += 1;
            search.must_not_find("a request for a tunnel", asked);
        }
        let learns = sent.iter().any(|sent| search.find(sent).is_some());
        assert_eq!(learns, !is_https, "the proxy at {scheme}");
    }
    evidence::tried("R14", format_args!("{tunnelled} tunnels through a proxy that listens"));
}

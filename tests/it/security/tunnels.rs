//! Delivery through a proxy that records what it forwards.

use std::{
    io::{self, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

use telemetry_tests::KEY;

use super::{
    runs::run,
    search::Search,
    servers::{Received, Server, answer, request},
    tls::Identity,
};
use crate::{
    client::{Client, Kind},
    support::{eager, run_alone},
};

const HOST: &str = "telemetry.invalid";

/// A proxy that connects to loopback whatever the host, and records each request for a tunnel and
/// everything that the client sends through it.
fn proxy() -> Server {
    Server::speaking(|stream, received| {
        // A client may close its connection at any time.
        let _ = tunnel(stream, received);
    })
}

fn tunnel(mut stream: TcpStream, received: &Received) -> io::Result<()> {
    let mut from_client = BufReader::new(stream.try_clone()?);
    let Some(connect) = request(&mut from_client, received) else { return Ok(()) };
    let target = connect.split_whitespace().nth(1).unwrap_or_default();
    let port = target.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from_server, mut client) = (server.try_clone()?, stream);
    thread::spawn(move || {
        let copied = io::copy(&mut from_server, &mut client);
        drop((copied, client.shutdown(Shutdown::Both)));
    });
    let mut bytes = [0; 4096];
    loop {
        let length = from_client.read(&mut bytes)?;
        if length == 0 {
            return server.shutdown(Shutdown::Both);
        }
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        received.lock().expect("not poisoned").push(text);
        server.write_all(&bytes[..length])?;
    }
}

#[test]
fn events_are_delivered_through_a_proxy_that_sees_the_key_of_plain_http_alone() {
    const PROXY: &str = "TELEMETRY_TESTS_PROXY";
    let test = events_are_delivered_through_a_proxy_that_sees_the_key_of_plain_http_alone;
    let Ok(url) = std::env::var(PROXY) else {
        let proxy = proxy();
        let url = proxy.url();
        let mut variables = vec![("NO_PROXY", ""), ("no_proxy", ""), (PROXY, &*url)];
        let names = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "http_proxy"];
        variables.extend(names.map(|name| (name, &*url)));
        run_alone(test, &variables).expect("this is the parent");
        let search = Search::new();
        let received = proxy.received();
        let (connects, sent): (Vec<_>, Vec<_>) =
            received.iter().partition(|it| it.starts_with(&format!("CONNECT {HOST}:")));
        for connect in &connects {
            search.must_not_find("a request for a tunnel", connect);
        }
        let tunnels = Kind::ALL.len() * 2;
        assert!(connects.len() >= tunnels && sent.len() > tunnels, "{received:?}");
        let with_key = sent.iter().filter(|sent| search.find(sent).is_some()).count();
        assert_eq!(with_key, Kind::ALL.len(), "one batch of each client over plain http");
        return;
    };
    assert!(!url.is_empty());
    for kind in Kind::ALL {
        for is_https in [false, true] {
            let identity = Identity::new(HOST, 2000, 4000);
            let receipt = |_: &str| answer("200 OK", "{\"results\":[null]}");
            let (scheme, server) = if is_https {
                ("https", identity.server())
            } else {
                ("http", Server::answering(receipt))
            };
            let url = format!("{scheme}://{HOST}:{}", server.port());
            let config = eager(&url).allow_plain_http(true);
            let run = run(config, |config| Client::trusting(kind, config, &identity.certificate));
            assert_eq!(run.stats.delivered, 3, "{kind:?}, {scheme}: {}", run.notifications);
            let header = format!("\r\nauthorization: Bearer {KEY}\r\n");
            assert!(server.received().iter().any(|it| it.contains(&header)), "{scheme}");
        }
    }
}

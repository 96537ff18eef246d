//! Requests through proxies.

use std::io::{BufReader, Read, Write};

use super::{
    LONG, New, SHORT, for_each_transport, is_child, post, post_within,
    server::{accept_all, read_request, respond, server},
};
use crate::TransportError;

for_each_transport! {
    ;
    proxy_opens_a_tunnel_and_does_not_receive_the_key
    loopback_is_reached_directly
    failed_tunnel_is_an_error_that_depends_on_the_status
    unsupported_proxy_is_a_permanent_error
}

/// A host that does not exist, so that only a proxy can reach it.
pub(super) const URL: &str = "http://telemetry.invalid/v1";

/// Opens a tunnel, calls `serve` with it, and returns the request for it.
pub(super) fn tunnel<S: Read + Write>(
    mut stream: BufReader<S>,
    serve: impl FnOnce(BufReader<S>),
) -> String {
    let request = read_request(&mut stream).unwrap();
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    stream.get_mut().flush().unwrap();
    serve(stream);
    request
}

fn proxy_opens_a_tunnel_and_does_not_receive_the_key(new: New) {
    let (proxy, proxy_server) = server(1, |stream| {
        let mut requests = Vec::new();
        (tunnel(stream, |mut stream| requests = accept_all(&mut stream)), requests)
    });
    let proxy = proxy.replace("http://", "http://us%20er:p@ss@");
    let transport = new(&[("http_proxy", &proxy)], None);
    for _ in 0..2 {
        assert!(transport.send(post(URL)).is_ok());
    }
    drop(transport);
    let (connect, requests) = proxy_server.join().unwrap().remove(0);
    assert!(connect.starts_with("connect telemetry.invalid:80 http/1.1\r\n"), "{connect}");
    // "us er:p@ss", in lower case like the rest of the head.
    assert!(connect.contains("proxy-authorization: basic dxmgzxi6cebzcw==\r\n"), "{connect}");
    assert!(!connect.contains("bearer"), "{connect}");
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert!(request.starts_with("post /v1 http/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nhost: telemetry.invalid\r\n"), "{request}");
        assert!(request.contains("\r\nauthorization: bearer key\r\n"), "{request}");
        assert!(!request.contains("basic"), "{request}");
    }
}

fn loopback_is_reached_directly(new: New) {
    const PROXY: (&str, &str) = ("ALL_PROXY", "http://127.0.0.1:1");
    // Also in the environment, which ureq reads by default.
    if is_child(PROXY.0, PROXY.1) {
        let (url, server) = server(1, |mut stream| accept_all(&mut stream));
        assert!(new(&[PROXY], None).send(post(&url)).is_ok());
        server.join().unwrap();
    }
}

fn failed_tunnel_is_an_error_that_depends_on_the_status(new: New) {
    for refusal in [
        Some("407 Proxy Authentication Required"),
        Some("403 Forbidden"),
        Some("405 Method Not Allowed"),
        Some("302 Found\r\nlocation: http://127.0.0.1:9/"),
        Some("429 Too Many Requests"),
        Some("502 Bad Gateway"),
        Some("503 Service Unavailable"),
        None,
    ] {
        let (proxy, server) = server(1, move |mut stream| {
            let connect = read_request(&mut stream).is_some();
            if let Some(refusal) = refusal {
                respond(&mut stream, refusal, "");
            }
            (connect, read_request(&mut stream))
        });
        let request = post_within(if refusal.is_some() { LONG } else { SHORT }, URL);
        match new(&[("ALL_PROXY", &proxy)], None).send(request) {
            Err(TransportError::Other(error)) if refusal.is_some_and(|it| it < "429") => {
                assert!(error.to_string().contains(&refusal.unwrap()[..3]), "{error}");
            }
            Err(TransportError::Network(_)) if refusal.is_some_and(|it| it >= "429") => (),
            Err(TransportError::Timeout) if refusal.is_none() => (),
            result => panic!("{refusal:?}: {result:?}"),
        }
        assert_eq!(server.join().unwrap(), [(true, None)]);
    }
}

fn unsupported_proxy_is_a_permanent_error(new: New) {
    let transport = new(&[("ALL_PROXY", "socks5h://user:secret@127.0.0.1:9")], None);
    let error = transport.send(post(URL)).unwrap_err();
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    assert!(error.to_string().contains("ALL_PROXY"), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

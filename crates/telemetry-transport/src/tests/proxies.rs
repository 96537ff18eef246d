//! Requests through proxies.

use std::io::{BufReader, Read, Write};

use super::{
    New, SHORT, for_each_transport, post, post_within,
    server::{accept_all, read_request, respond, server},
};
use crate::TransportError;

for_each_transport! {
    proxy_opens_a_tunnel_and_does_not_receive_the_key
    refused_tunnel_is_a_network_error
    silent_proxy_is_a_timeout
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
    let transport = new(&[("https_proxy", &proxy)], None);
    for _ in 0..2 {
        assert!(transport.send(post(URL)).is_ok());
    }
    let (loopback, loopback_server) = server(1, |mut stream| accept_all(&mut stream));
    assert!(transport.send(post(&loopback)).is_ok(), "without the proxy");
    drop(transport);
    assert_eq!(loopback_server.join().unwrap()[0].len(), 1);

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

fn refused_tunnel_is_a_network_error(new: New) {
    for refusal in ["407 Proxy Authentication Required", "502 Bad Gateway"] {
        let (proxy, server) = server(1, move |mut stream| {
            let connect = read_request(&mut stream).is_some();
            respond(&mut stream, refusal, "");
            (connect, read_request(&mut stream))
        });
        let error = new(&[("ALL_PROXY", &proxy)], None).send(post(URL)).unwrap_err();
        assert!(matches!(error, TransportError::Network(_)), "{error:?}");
        assert_eq!(server.join().unwrap(), [(true, None)]);
    }
}

fn silent_proxy_is_a_timeout(new: New) {
    let (proxy, server) = server(1, |mut stream| stream.read_to_end(&mut Vec::new()).is_ok());
    let error = new(&[("ALL_PROXY", &proxy)], None).send(post_within(SHORT, URL)).unwrap_err();
    assert!(matches!(error, TransportError::Timeout), "{error:?}");
    server.join().unwrap();
}

fn unsupported_proxy_is_a_permanent_error(new: New) {
    let transport = new(&[("ALL_PROXY", "socks5h://user:secret@127.0.0.1:9")], None);
    let error = transport.send(post(URL)).unwrap_err();
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    assert!(error.to_string().contains("ALL_PROXY"), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

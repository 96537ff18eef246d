//! What needs an environment or a certificate of its own.

use std::{
    io::{BufReader, Read, Write},
    net::TcpStream,
    sync::mpsc,
};

use super::*;
use crate::hyper::common::{AMPLE, BRIEF, answer, post, read_request, server, visit};

/// A host that no look-up finds, so whoever reaches it went through the proxy.
const HTTP: &str = "http://telemetry.invalid/v1";

fn transport(environment: &[(&str, &str)]) -> HyperTransport {
    with(environment, tls::config().unwrap())
}

fn with(environment: &[(&str, &str)], tls: tls::Config) -> HyperTransport {
    let environment = proxy::environment(|name| {
        environment.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    });
    HyperTransport::with(environment, Ok(tls))
}

/// Opens a tunnel to nowhere: what asked for it is in the first result, the request in the second.
fn tunnel<S: Read + Write>(stream: S, mut within: impl FnMut(&mut BufReader<S>)) -> String {
    let mut stream = BufReader::new(stream);
    let (asked, _) = read_request(&mut stream).expect("it asks for a tunnel");
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("it waits for the tunnel");
    stream.get_mut().flush().expect("sent");
    within(&mut stream);
    asked
}

#[tokio::test]
async fn a_request_goes_through_a_tunnel_and_the_key_only_to_the_server() {
    let (seen, requests) = mpsc::channel();
    let (proxy, proxying) = server(1, move |stream| {
        tunnel(stream, |stream| {
            while let Some((head, _)) = read_request(stream) {
                seen.send(head).expect("the test waits");
                answer(stream.get_mut(), "200 OK", "");
            }
        })
    });
    let proxy = proxy.replace("http://", "http://us%20er:p@ss@");
    let transport = transport(&[("https_proxy", &proxy)]);
    for _ in 0..2 {
        assert_eq!(transport.send(post(HTTP, AMPLE)).await.unwrap().status(), 200);
        let head = requests.recv().unwrap();
        assert!(head.starts_with("post /v1 http/1.1\r\n"), "{head}");
        assert!(head.contains("host: telemetry.invalid\r\n"), "{head}");
        assert!(head.contains("authorization: bearer key\r\n"), "{head}");
        assert!(!head.contains("basic"), "{head}");
    }
    assert!(!format!("{transport:?}").contains("p@ss"));
    drop(transport);
    tokio::task::yield_now().await;
    let asked = tokio::task::spawn_blocking(|| proxying.join().unwrap().remove(0)).await.unwrap();
    assert!(asked.starts_with("connect telemetry.invalid:80 http/1.1\r\n"), "{asked}");
    // us er:p@ss, in lower case as the rest of the head.
    assert!(asked.contains("proxy-authorization: basic dxmgzxi6cebzcw==\r\n"), "{asked}");
    assert!(!asked.contains("bearer"), "{asked}");
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_a_network_error() {
    for refusal in ["407 Proxy Authentication Required", "502 Bad Gateway"] {
        let (proxy, proxying) = server(1, move |mut stream| {
            let mut reading = BufReader::new(stream.try_clone().expect("a second handle"));
            let asked = read_request(&mut reading).is_some();
            answer(&mut stream, refusal, "");
            (asked, read_request(&mut reading).is_none())
        });
        let error = transport(&[("ALL_PROXY", &proxy)]).send(post(HTTP, AMPLE)).await.unwrap_err();
        assert!(matches!(error, TransportError::Network(_)), "{error:?}");
        assert!(error.to_string().contains("tunnel"), "{error}");
        assert_eq!(proxying.join().unwrap(), [(true, true)], "the request stays here");
    }
}

#[tokio::test]
async fn a_silent_proxy_is_a_time_out() {
    let (proxy, proxying) = server(1, |mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = transport(&[("ALL_PROXY", &proxy)]).send(post(HTTP, BRIEF)).await.unwrap_err();
    assert!(matches!(error, TransportError::Timeout), "{error:?}");
    proxying.join().unwrap();
}

#[tokio::test]
async fn no_request_goes_past_a_proxy_that_cannot_be_used() {
    let transport = transport(&[("ALL_PROXY", "socks5h://me:secret@127.0.0.1:9")]);
    let error = transport.send(post(HTTP, AMPLE)).await.unwrap_err();
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    assert!(error.to_string().contains("ALL_PROXY"), "{error}");
    assert!(!format!("{error} {error:?} {transport:?}").contains("secret"));
    let (url, serving) = server(1, answers);
    assert!(transport.send(post(&url, AMPLE)).await.is_ok(), "loopback needs none");
    serving.join().unwrap();
}

/// The unspecified address is this machine for a connection, but is not loopback.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_exempt_host_is_reached_without_the_proxy() {
    let (proxy, proxying) = server(1, answers);
    let (url, serving) = server(2, answers);
    let elsewhere = url.replace("127.0.0.1", "0.0.0.0");
    let exempt = transport(&[("ALL_PROXY", &proxy), ("no_proxy", "example.com, 0.0.0.0")]);
    assert!(exempt.send(post(&elsewhere, AMPLE)).await.is_ok());
    visit(&proxy);
    assert_eq!(proxying.join().unwrap(), [false]);
    visit(&url);
    assert_eq!(serving.join().unwrap(), [true, false]);
}

#[test]
fn the_host_of_a_request_is_the_same_through_a_tunnel() {
    for (uri, with) in [
        ("http://host", "http://host:80/"),
        ("http://host/a?b", "http://host:80/a?b"),
        ("http://[fd00::1]/a", "http://[fd00::1]:80/a"),
        ("http://host:81/a", "http://host:81/a"),
        ("https://host/a", "https://host/a"),
    ] {
        assert_eq!(with_port(&uri.parse().unwrap()).unwrap(), with);
    }
}

fn answers(mut stream: TcpStream) -> bool {
    let asked = read_request(&mut BufReader::new(stream.try_clone().expect("a second handle")));
    answer(&mut stream, "200 OK", "");
    asked.is_some()
}

#[cfg(feature = "rustls")]
mod with_tls {
    use rustls::pki_types::CertificateDer;

    use super::*;
    use crate::hyper::common::tls::Identity;

    /// Trusts these and nobody else.
    fn trusting(certificates: &[&CertificateDer<'static>]) -> tls::Config {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().map(|it| (*it).clone()));
        assert_eq!(roots.len(), certificates.len());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has ciphers")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// Answers requests over TLS, and returns their heads and the protocol that was agreed on.
    fn speak<S: Read + Write>(identity: &Identity, stream: S) -> (Vec<String>, Option<Vec<u8>>) {
        let mut stream = BufReader::new(identity.accept(stream));
        let mut heads = Vec::new();
        while let Some((head, _)) = read_request(&mut stream) {
            heads.push(head);
            answer(stream.get_mut(), "200 OK", "done");
        }
        (heads, stream.get_ref().conn.alpn_protocol().map(<[u8]>::to_vec))
    }

    #[tokio::test]
    async fn a_trusted_server_gets_the_requests_over_one_connection_and_no_http_2() {
        let (identity, certificate) = Identity::of("127.0.0.1");
        let tls = trusting(&[&certificate]);
        let (url, serving) = server(1, move |stream| speak(&identity, stream));
        let (url, transport) = (url.replace("http:", "https:"), with(&[], tls));
        for _ in 0..3 {
            let answer = transport.send(post(&url, AMPLE)).await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (200, &b"done"[..]));
        }
        drop(transport);
        let served = tokio::task::spawn_blocking(|| serving.join().unwrap()).await.unwrap();
        let [(heads, protocol)] = &served[..] else { panic!("{served:?}") };
        assert_eq!((heads.len(), protocol), (3, &None));
        assert!(heads[0].contains("authorization: bearer key\r\n"), "{heads:?}");
    }

    #[tokio::test]
    async fn a_certificate_for_another_host_is_refused() {
        let (identity, certificate) = Identity::of("telemetry.invalid");
        let tls = trusting(&[&certificate]);
        let (url, serving) = server(1, move |stream| speak(&identity, stream));
        let url = url.replace("http:", "https:");
        let error = with(&[], tls).send(post(&url, AMPLE)).await.unwrap_err();
        assert!(matches!(error, TransportError::Other(_)), "{error:?}");
        assert!(error.to_string().contains("certificate not valid for name"), "{error}");
        assert_eq!(serving.join().unwrap(), [(Vec::new(), None)]);
    }

    #[tokio::test]
    async fn tls_to_the_server_goes_through_a_tunnel_and_through_tls_to_the_proxy() {
        for scheme in ["http:", "https:"] {
            let (far, trusted_far) = Identity::of("telemetry.invalid");
            let (near, trusted_near) = Identity::of("127.0.0.1");
            let tls = trusting(&[&trusted_far, &trusted_near]);
            let (proxy, proxying) = server(1, move |stream| {
                let mut heads = Vec::new();
                let asked = if scheme == "http:" {
                    tunnel(stream, |stream| heads = speak(&far, stream.get_mut()).0)
                } else {
                    tunnel(near.accept(stream), |stream| heads = speak(&far, stream.get_mut()).0)
                };
                (asked, heads)
            });
            let transport = with(&[("HTTPS_PROXY", &proxy.replace("http:", scheme))], tls);
            let url = HTTP.replace("http:", "https:");
            assert_eq!(transport.send(post(&url, AMPLE)).await.unwrap().body(), b"done");
            drop(transport);
            let (asked, heads) =
                tokio::task::spawn_blocking(|| proxying.join().unwrap().remove(0)).await.unwrap();
            assert!(asked.starts_with("connect telemetry.invalid:443 http/1.1\r\n"), "{asked}");
            assert!(!asked.contains("bearer"), "{asked}");
            assert!(heads[0].contains("authorization: bearer key\r\n"), "{heads:?}");
        }
    }

    #[tokio::test]
    async fn a_host_that_no_certificate_can_name_is_neither() {
        let error = transport(&[]).send(post("https://-/v1", AMPLE)).await.unwrap_err();
        assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    }
}

//! Redirects, proxies and timeouts of the clients under the transports over reqwest.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};

use super::{
    post,
    runtime::block_on,
    server::{connect, read_request, respond, server},
};
use crate::{Transport, TransportError};

/// Settings of a client of any version.
#[derive(Default)]
pub(super) struct Settings<'a> {
    roots: Option<&'a [u8]>,
    follows_redirects: bool,
    proxy: Option<&'a str>,
    timeout: Option<Duration>,
}

type New = fn(Settings<'_>) -> Box<dyn Transport>;

macro_rules! version {
    ($version:ident, $reqwest:ident, $transport:ident; $($test:ident)*) => {
        pub(super) mod $version {
            use super::Settings;
            use crate::Transport;

            pub(in crate::tests) fn transport(settings: Settings<'_>) -> crate::$transport {
                let client = $reqwest::Client::builder();
                let mut client = client.no_proxy().use_preconfigured_tls(super::tls(settings.roots));
                if !settings.follows_redirects {
                    client = client.redirect($reqwest::redirect::Policy::none());
                }
                if let Some(proxy) = settings.proxy {
                    client = client.proxy($reqwest::Proxy::all(proxy).unwrap());
                }
                if let Some(timeout) = settings.timeout {
                    client = client.timeout(timeout);
                }
                crate::$transport::new(client.build().unwrap())
            }

            pub(in crate::tests) fn blocking(
                _: &[(&str, &str)],
                roots: Option<&[u8]>,
            ) -> Box<dyn Transport> {
                new(Settings { roots, ..Settings::default() })
            }

            fn new(settings: Settings<'_>) -> Box<dyn Transport> {
                super::block_on(transport(settings))
            }

            $(#[test]
            fn $test() {
                super::$test(new);
            })*
        }
    };
}

macro_rules! for_each_version {
    ($($test:ident)*) => {
        #[cfg(feature = "reqwest")]
        version!(v0_13, reqwest, ReqwestTransport; $($test)*);
        #[cfg(feature = "reqwest012")]
        version!(v0_12, reqwest012, Reqwest012Transport; $($test)*);
    };
}

for_each_version! {
    events_and_key_do_not_follow_a_redirect_to_another_host
    redirect_loop_is_a_permanent_error
    refusal_of_a_tunnel_is_permanent_if_the_proxy_wants_credentials
    timeout_of_a_request_replaces_that_of_the_client
}

/// Names its crypto provider, since a test must not install a default.
fn tls(roots: Option<&[u8]>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.map(CertificateDer::from));
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth()
}

fn events_and_key_do_not_follow_a_redirect_to_another_host(new: New) {
    for (status, is_followed) in [
        ("301 Moved Permanently", true),
        ("302 Found", true),
        ("303 See Other", true),
        ("307 Temporary Redirect", false),
        ("308 Permanent Redirect", false),
    ] {
        let (target, other) = server(1, |mut stream| {
            let request = read_request(&mut stream);
            respond(&mut stream, "200 OK", "");
            request
        });
        let head = format!("{status}\r\nlocation: {target}");
        let (url, redirecting) = server(1, move |mut stream| {
            read_request(&mut stream);
            respond(&mut stream, &head, "");
        });
        let transport = new(Settings { follows_redirects: true, ..Settings::default() });
        match transport.send(post(&url)) {
            Ok(response) if !is_followed => assert_eq!(response.status().as_str(), &status[..3]),
            Err(TransportError::Other(error)) if is_followed => {
                assert!(error.to_string().contains("redirect::Policy::none()"), "{error}");
            }
            result => panic!("{status}: {result:?}"),
        }
        connect(&target);
        match other.join().unwrap().remove(0) {
            None => assert!(!is_followed, "{status}"),
            Some(request) => {
                assert!(request.starts_with("get /v1 http/1.1\r\n"), "{status}: {request}");
                assert!(!request.contains("bearer"), "{status}: {request}");
                assert!(request.ends_with("\r\n\r\n"), "{status}: {request}");
            }
        }
        redirecting.join().unwrap();
    }
}

fn redirect_loop_is_a_permanent_error(new: New) {
    let (url, server) = server(1, |mut stream| {
        while read_request(&mut stream).is_some() {
            respond(&mut stream, "302 Found\r\nlocation: /v1", "");
        }
    });
    let transport = new(Settings { follows_redirects: true, ..Settings::default() });
    let error = transport.send(post(&url)).unwrap_err();
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    drop(transport);
    server.join().unwrap();
}

fn refusal_of_a_tunnel_is_permanent_if_the_proxy_wants_credentials(new: New) {
    for (status, is_permanent) in
        [("407 Proxy Authentication Required", true), ("503 Service Unavailable", false)]
    {
        let (proxy, server) = server(1, move |mut stream| {
            let connect = read_request(&mut stream).unwrap();
            respond(&mut stream, status, "");
            connect
        });
        let transport = new(Settings { proxy: Some(&proxy), ..Settings::default() });
        let error = transport.send(post("https://telemetry.invalid/v1")).unwrap_err();
        assert_eq!(matches!(error, TransportError::Other(_)), is_permanent, "{status}: {error:?}");
        let connect = server.join().unwrap().remove(0);
        assert!(connect.starts_with("connect telemetry.invalid:443 "), "{connect}");
        assert!(!connect.contains("bearer"), "{connect}");
    }
}

fn timeout_of_a_request_replaces_that_of_the_client(new: New) {
    let (url, server) = server(1, |mut stream| {
        read_request(&mut stream);
        respond(&mut stream, "200 OK", "");
    });
    let transport = new(Settings { timeout: Some(Duration::ZERO), ..Settings::default() });
    assert!(transport.send(post(&url)).is_ok());
    server.join().unwrap();
}

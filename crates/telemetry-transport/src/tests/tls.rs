//! Certificates of servers and proxies.

use std::{
    env, fs,
    io::{BufReader, Read, Write},
    process,
    sync::Arc,
    thread,
};

use http::Uri;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::{CryptoProvider, ring},
    pki_types::PrivatePkcs8KeyDer,
};

use super::{
    New, for_each_transport, lookup, post,
    proxies::{URL, tunnel},
    server::{accept_all, connect, server},
};
use crate::{TransportError, settings::Settings};

for_each_transport! {
    trusted_server_receives_requests_over_one_connection_and_http_1
    untrusted_server_receives_nothing;
    every_certificate_of_a_bundle_is_trusted
    certificate_file_of_the_environment_is_trusted
    proxy_tunnels_tls_over_http_and_https
    default_provider_of_the_process_is_used
}

/// A TLS server with a self-signed certificate. Prefers HTTP/2.
#[derive(Clone)]
struct Identity {
    config: Arc<ServerConfig>,
    certificate: Vec<u8>,
    pem: String,
}

impl Identity {
    fn new(hosts: &[&str]) -> Self {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        Self::from_params(&CertificateParams::new(hosts).unwrap())
    }

    fn from_params(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, certificate) = (certificate.pem(), certificate.der().clone());
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { config: Arc::new(config), certificate: certificate.to_vec(), pem }
    }

    fn accept<S: Read + Write>(&self, stream: BufReader<S>) -> TlsStream<S> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        // Nothing is buffered: the client speaks first, after it was accepted.
        BufReader::new(StreamOwned::new(connection, stream.into_inner()))
    }
}

type TlsStream<S> = BufReader<StreamOwned<ServerConnection, S>>;

fn trusted_server_receives_requests_over_one_connection_and_http_1(new: New) {
    let identity = Identity::new(&["127.0.0.1"]);
    let certificate = identity.certificate.clone();
    let (url, server) = server(1, move |stream| {
        let mut stream = identity.accept(stream);
        let requests = accept_all(&mut stream);
        (requests, stream.get_ref().conn.alpn_protocol().map(<[u8]>::to_vec))
    });
    let transport = new(&[], Some(&certificate));
    for _ in 0..2 {
        let response = transport.send(post(&url.replace("http:", "https:"))).unwrap();
        assert_eq!(response.body(), b"done");
    }
    drop(transport);
    let (requests, protocol) = server.join().unwrap().remove(0);
    assert_eq!((requests.len(), protocol), (2, None));
    assert!(CryptoProvider::get_default().is_none(), "none is installed");
    assert!(requests[0].contains("\r\nauthorization: bearer key\r\n"), "{requests:?}");
}

fn every_certificate_of_a_bundle_is_trusted(new: New) {
    let identities = [Identity::new(&["127.0.0.1"]), Identity::new(&["127.0.0.1"])];
    let bundle = identities.each_ref().map(|identity| &*identity.pem).concat();
    for identity in identities {
        let (url, server) = server(1, move |stream| accept_all(&mut identity.accept(stream)).len());
        let transport = new(&[], Some(bundle.as_bytes()));
        assert!(transport.send(post(&url.replace("http:", "https:"))).is_ok());
        drop(transport);
        assert_eq!(server.join().unwrap(), [1]);
    }
}

fn default_provider_of_the_process_is_used(new: New) {
    const SUITE: rustls::CipherSuite = rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    if !super::is_child("ANY", "") {
        return;
    }
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == SUITE);
    provider.install_default().unwrap();

    let identity = Identity::new(&["127.0.0.1"]);
    let certificate = identity.certificate.clone();
    let (url, server) = server(1, move |stream| {
        let mut stream = identity.accept(stream);
        accept_all(&mut stream);
        stream.get_ref().conn.negotiated_cipher_suite().unwrap().suite()
    });
    let transport = new(&[], Some(&certificate));
    assert!(transport.send(post(&url.replace("http:", "https:"))).is_ok());
    drop(transport);
    assert_eq!(server.join().unwrap(), [SUITE]);
}

fn untrusted_server_receives_nothing(new: New) {
    let other = Identity::new(&["127.0.0.1"]).certificate;
    let identity = Identity::new(&["127.0.0.1"]);
    let misnamed = Identity::new(&["telemetry.invalid"]);
    let mut authority = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = Identity::from_params(&authority);
    for (identity, roots, reason) in [
        (identity.clone(), None, "UnknownIssuer"),
        (identity, Some(&*other), "BadSignature"),
        (misnamed.clone(), Some(&*misnamed.certificate), "certificate not valid for name"),
        (authority.clone(), Some(&*authority.certificate), "CaUsedAsEndEntity"),
    ] {
        let (url, server) = server(1, move |stream| {
            let mut received = Vec::new();
            let is_rejected = identity.accept(stream).read_to_end(&mut received).is_err();
            (is_rejected, received)
        });
        let error = new(&[], roots).send(post(&url.replace("http:", "https:"))).unwrap_err();
        assert!(matches!(error, TransportError::Other(_)), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(server.join().unwrap(), [(true, Vec::new())]);
    }
}

fn certificate_file_of_the_environment_is_trusted(new: New) {
    let identity = Identity::new(&["127.0.0.1"]);
    let name = format!("telemetry-{}-{}.der", process::id(), identity.certificate.len());
    let path = env::temp_dir().join(format!("{:?}-{name}", thread::current().id()));
    fs::write(&path, &identity.certificate).unwrap();
    let variables = [("SSL_CERT_FILE", path.to_str().unwrap())];
    let transport = new(&variables, None);
    fs::write(&path, "no certificate").unwrap();
    let without = new(&variables, None);
    fs::remove_file(&path).unwrap();

    let (url, server) = server(2, move |stream| {
        accept_all(&mut identity.accept(stream));
    });
    let url = url.replace("http:", "https:");
    assert!(transport.send(post(&url)).is_ok());
    drop(transport);
    let error = without.send(post(&url)).unwrap_err();
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
    connect(&url.replace("https:", "http:"));
    server.join().unwrap();
}

#[test]
fn only_replaced_certificates_hide_an_environment_without_valid_ones() {
    let pem = Identity::new(&["127.0.0.1"]).pem;
    let url = Uri::from_static("https://127.0.0.1/v1");
    let settings = || Settings::read(lookup(&[("SSL_CERT_FILE", "/no/such/file")]));
    for (settings, is_valid) in [
        (settings().add_root_certificates(pem.as_bytes()), false),
        (settings().with_root_certificates(pem.as_bytes()), true),
    ] {
        assert_eq!(settings.unwrap().check(&url).is_ok(), is_valid);
    }
}

fn proxy_tunnels_tls_over_http_and_https(new: New) {
    for scheme in ["http:", "https:"] {
        let identity = Identity::new(&["127.0.0.1", "telemetry.invalid"]);
        let certificate = identity.certificate.clone();
        let (proxy, server) = server(1, move |stream| {
            let mut requests = Vec::new();
            let connect = if scheme == "http:" {
                tunnel(stream, |stream| requests = accept_all(&mut identity.accept(stream)))
            } else {
                let stream = identity.accept(stream);
                tunnel(stream, |stream| requests = accept_all(&mut identity.accept(stream)))
            };
            (connect, requests)
        });
        let proxy = proxy.replace("http:", scheme);
        let transport = new(&[("HTTPS_PROXY", &proxy)], Some(&certificate));
        assert!(transport.send(post(&URL.replace("http:", "https:"))).is_ok());
        drop(transport);
        let (connect, requests) = server.join().unwrap().remove(0);
        assert!(connect.starts_with("connect telemetry.invalid:443 http/1.1\r\n"), "{connect}");
        assert!(!connect.contains("bearer"), "{connect}");
        assert!(requests[0].contains("\r\nauthorization: bearer key\r\n"), "{requests:?}");
    }
}

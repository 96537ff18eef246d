//! Certificates, from the point of view of a client.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use telemetry_collector::{Certificate, Collector, FaultRule, Position, ResponseTemplate};

use crate::client::{Client, EVENTS, TIMEOUT, batch, event, ids};

fn collector(certificate: Certificate) -> Collector {
    Collector::builder().tls(certificate).start().expect("a free port")
}

pub(crate) fn from_pem(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM")
}

/// A client that trusts this CA alone and verifies this host name.
pub(crate) fn client(addr: SocketAddr, ca: CertificateDer<'_>, host: &'static str) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(ca.into_owned()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = host.try_into().expect("a host name");
    let connection = ClientConnection::new(Arc::new(config), host).expect("a usable config");
    Client::over(StreamOwned::new(connection, Client::connect(addr)))
}

/// A client that trusts the CA of this collector.
fn trusting(collector: &Collector, host: &'static str) -> Client {
    client(collector.addr(), collector.ca_der().expect("it has a CA").into(), host)
}

/// The error of the handshake.
fn refusal(mut client: Client) -> rustls::Error {
    let error = client.write("GET / HTTP/1.1\r\n\r\n").expect_err("the certificate is refused");
    let error = error.get_ref().and_then(|error| (error as &dyn Error).downcast_ref());
    error.cloned().expect("an error of TLS")
}

#[test]
fn valid_certificate_is_accepted_for_each_name_of_loopback() {
    let collector = collector(Certificate::Valid);
    assert_eq!(collector.url(), format!("https://{}", collector.addr()));
    for (id, host) in (1..).zip(["localhost", "127.0.0.1", "::1"]) {
        let mut client = trusting(&collector, host);
        assert_eq!(client.request(EVENTS, &batch([event(id)])).status, 200);
        assert_eq!(client.request("GET /", b"").status, 200, "the connection is kept");
    }
    assert_eq!((ids(&collector), collector.totals().failed_handshakes), (vec![1, 2, 3], 0));
}

#[test]
fn invalid_certificate_is_refused_for_its_reason() {
    for (certificate, trusts_other, expected) in [
        (Certificate::SelfSigned, false, "UnknownIssuer"),
        (Certificate::Expired, false, "Expired"),
        (Certificate::WrongHost, false, "NotValidForName"),
        (Certificate::Valid, true, "UnknownIssuer"),
    ] {
        let reported = Arc::new(Mutex::new(String::new()));
        let line = Arc::clone(&reported);
        let server = Collector::builder()
            .tls(certificate)
            .on_failed_handshake(move |failed| *line.lock().unwrap() = failed.to_string())
            .start()
            .unwrap();
        let other = trusts_other.then(|| collector(Certificate::Valid));
        let ca = other.as_ref().unwrap_or(&server).ca_der().unwrap().into();
        let error = refusal(client(server.addr(), ca, "127.0.0.1"));
        let rustls::Error::InvalidCertificate(error) = error else {
            panic!("{certificate:?}: {error:?}");
        };
        assert!(format!("{error:?}").starts_with(expected), "{certificate:?}: {error:?}");
        assert!(server.wait_for(TIMEOUT, |totals| totals.failed_handshakes == 1));
        assert_eq!(server.stop().requests, 0);
        let line = reported.lock().unwrap();
        assert!(line.starts_with("TLS handshake failed on connection 1: "), "{line}");
    }
}

#[test]
fn ca_is_available_in_pem_and_der_with_tls_only() {
    let collector = collector(Certificate::Expired);
    assert_eq!(Some(&*from_pem(collector.ca_pem().unwrap())), collector.ca_der());
    let plain = Collector::start().unwrap();
    assert_eq!((plain.ca_pem(), plain.ca_der()), (None, None));
}

#[test]
fn plain_http_is_a_failed_handshake() {
    let collector = collector(Certificate::Valid);
    let mut plain = Client::new(&collector);
    plain.post(1);
    assert!(collector.wait_for(TIMEOUT, |totals| totals.failed_handshakes == 1));
    assert!(plain.receive().is_err());
    assert_eq!(trusting(&collector, "localhost").request("GET /", b"").status, 200);
    assert_eq!((collector.totals().connections, ids(&collector)), (2, vec![]));
}

#[test]
fn faults_are_injected_under_tls() {
    let collector = collector(Certificate::Valid);
    collector.fault(FaultRule::close_before_reading().skip(2));
    let mut client = trusting(&collector, "localhost");
    collector.script([ResponseTemplate::normal().body("0123456789").cut(Position::InBody)]);
    client.post(1);
    let error = client.receive().unwrap_err();
    // Without the alert close_notify, the end is a truncation.
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("close_notify"), "{error}");

    let mut client = trusting(&collector, "localhost");
    collector.script([ResponseTemplate::status(503).body_size(1 << 20)]);
    client.post(2);
    let response = client.receive().unwrap();
    assert_eq!((response.status, response.body.len()), (503, 1 << 20));
    assert_eq!(client.rest(), b"", "with close_notify");

    assert!(trusting(&collector, "localhost").write(b"GET").is_err());
    assert_eq!(ids(&collector), [1]);
}

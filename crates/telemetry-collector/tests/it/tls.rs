//! TLS: what a client thinks of each certificate.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use telemetry_collector::{Certificate, Collector, FaultRule, Position, ResponseTemplate};

use crate::client::{Client, EVENTS, TOO_LONG, batch, event, ids};

fn with(certificate: Certificate) -> Collector {
    Collector::builder().tls(certificate).start().expect("a free port")
}

/// Whether a client that trusts this authority refuses the server under this name.
#[cfg(unix)]
pub(crate) fn refuses(addr: SocketAddr, authority: &str, name: &'static str) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(from_pem(authority)).expect("a certificate");
    over_tls(addr, roots, name).write(b"GET / HTTP/1.1\r\n\r\n").is_err()
}

fn from_pem(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM")
}

/// A client that trusts the collector's authority and nobody else, and knows it by this name.
fn trusting(collector: &Collector, name: &'static str) -> Client {
    let mut roots = RootCertStore::empty();
    let authority = collector.ca_der().expect("it has one").to_vec();
    roots.add(CertificateDer::from(authority)).expect("a certificate");
    over_tls(collector.addr(), roots, name)
}

fn over_tls(addr: SocketAddr, roots: RootCertStore, name: &'static str) -> Client {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = name.try_into().expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a usable config");
    Client::over(StreamOwned::new(connection, Client::connect(addr)))
}

/// How the handshake fails.
fn refused(mut client: Client) -> rustls::Error {
    let written = client.write(b"GET / HTTP/1.1\r\n\r\n");
    let error = written.expect_err("the certificate is not accepted");
    let error = error.get_ref().and_then(|error| (error as &dyn Error).downcast_ref());
    error.cloned().expect("an error of TLS")
}

#[test]
fn the_right_certificate_is_accepted_under_each_name_of_loopback() {
    let collector = with(Certificate::Valid);
    assert_eq!(collector.url(), format!("https://{}", collector.addr()));
    for (id, name) in (1..).zip(["localhost", "127.0.0.1", "::1"]) {
        let mut client = trusting(&collector, name);
        assert_eq!(client.ask(EVENTS, &[], &batch([event(id)])).status, 200);
        assert_eq!(client.ask("GET /", &[], b"").status, 200, "the connection is kept");
    }
    assert_eq!(ids(&collector), [1, 2, 3]);
    assert_eq!(collector.totals().failed_handshakes, 0);
}

#[test]
fn each_other_certificate_is_refused_for_what_is_wrong_with_it() {
    for (certificate, expected) in [
        (Certificate::SelfSigned, "UnknownIssuer"),
        (Certificate::Expired, "Expired"),
        (Certificate::WrongHost, "NotValidForName"),
    ] {
        let told = Arc::new(Mutex::new(String::new()));
        let line = Arc::clone(&told);
        let collector = Collector::builder()
            .tls(certificate)
            .on_failed_handshake(move |failed| *line.lock().unwrap() = failed.to_string())
            .start()
            .unwrap();
        let rustls::Error::InvalidCertificate(error) = refused(trusting(&collector, "127.0.0.1"))
        else {
            panic!("{certificate:?} was not refused as a certificate");
        };
        assert!(format!("{error:?}").starts_with(expected), "{certificate:?}: {error:?}");
        assert!(collector.wait_for(TOO_LONG, |totals| totals.failed_handshakes == 1));
        assert_eq!(collector.stop().requests, 0);
        let told = told.lock().unwrap();
        assert!(told.starts_with("no TLS on connection 1: "), "{told}");
    }
}

#[test]
fn nobody_trusts_the_authority_unasked() {
    let (collector, other) = (with(Certificate::Valid), with(Certificate::Valid));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(other.ca_der().unwrap().to_vec())).unwrap();
    let error = refused(over_tls(collector.addr(), roots, "127.0.0.1"));
    let unknown = CertificateError::UnknownIssuer;
    assert_eq!(error, rustls::Error::InvalidCertificate(unknown), "each has its own");
}

#[test]
fn the_authority_is_in_pem_too() {
    let collector = with(Certificate::Expired);
    let pem = collector.ca_pem().unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    assert_eq!(Some(&*from_pem(pem)), collector.ca_der());
    let plain = Collector::start().unwrap();
    assert_eq!((plain.ca_pem(), plain.ca_der()), (None, None));
}

#[test]
fn who_speaks_no_tls_is_counted_and_harms_nobody() {
    let collector = with(Certificate::Valid);
    let mut plain = Client::new(&collector);
    plain.post(1);
    assert!(collector.wait_for(TOO_LONG, |totals| totals.failed_handshakes == 1));
    assert!(plain.receive().is_err());
    assert_eq!(trusting(&collector, "localhost").ask("GET /", &[], b"").status, 200);
    assert_eq!((collector.totals().connections, ids(&collector)), (2, vec![]));
}

#[test]
fn faults_hold_under_tls() {
    let collector = with(Certificate::Valid);
    collector.fault(FaultRule::close_before_reading().nth(3));
    let mut client = trusting(&collector, "localhost");
    collector.script([ResponseTemplate::normal().body("0123456789").cut(Position::InBody)]);
    client.post(1);
    let error = client.receive().unwrap_err();
    // TLS tells a cut from an end, by itself.
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("close_notify"), "{error}");

    let mut client = trusting(&collector, "localhost");
    collector.script([ResponseTemplate::status(503).body_size(1 << 20)]);
    client.post(2);
    let answered = client.receive().unwrap();
    assert_eq!((answered.status, answered.body.len()), (503, 1 << 20));
    assert_eq!(client.rest(), b"", "it is closed as TLS wants it");

    assert!(trusting(&collector, "localhost").write(b"GET").is_err());
    assert_eq!(ids(&collector), [1]);
}

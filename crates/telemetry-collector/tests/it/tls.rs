//! Certificates, from the point of view of a client.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use telemetry_collector::{Certificate, Collector, FaultRule, Position, ResponseTemplate};

use crate::{
    client::{Client, EVENTS, TIMEOUT, batch, event, ids},
    temporary::TemporaryFile,
};

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

/// A CA, and a certificate for this name with its key, in PEM.
fn issue(name: &str) -> (CertificateDer<'static>, String, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &ca).expect("a certificate");
    (ca.der().clone(), certificate.pem(), key.serialize_pem())
}

#[test]
fn certificate_of_files_is_presented_and_replaced_by_a_reload() {
    let (first_ca, first, first_key) = issue("telemetry.example");
    let (second_ca, second, second_key) = issue("telemetry.example");
    let [certificate, key] = [&first, &first_key].map(|text| TemporaryFile::new(text));
    let collector =
        Collector::builder().certificate_files(certificate.path(), key.path()).start().unwrap();
    assert!(collector.url().starts_with("https://127.0.0.1:"));
    assert_eq!((collector.ca_pem(), collector.ca_der()), (None, None));
    let connect =
        |ca: &CertificateDer<'_>| client(collector.addr(), ca.clone(), "telemetry.example");
    let mut kept = connect(&first_ca);
    assert_eq!(kept.request(EVENTS, &batch([event(1)])).status, 200);

    certificate.write(&second);
    let error = collector.reload().unwrap_err().to_string();
    assert!(error.contains(key.text()) && error.contains(certificate.text()), "{error}");
    assert_eq!(connect(&first_ca).request("GET /", b"").status, 200, "of the previous files");

    key.write(&second_key);
    collector.reload().unwrap();
    assert_eq!(connect(&second_ca).request(EVENTS, &batch([event(2)])).status, 200);
    assert!(matches!(refusal(connect(&first_ca)), rustls::Error::InvalidCertificate(_)));
    assert_eq!(kept.request(EVENTS, &batch([event(3)])).status, 200, "the connection is kept");
    assert_eq!(ids(&collector), [1, 2, 3]);
}

#[test]
fn unusable_certificate_file_is_an_error_that_names_it_without_its_content() {
    let (_, certificate, key) = issue("telemetry.example");
    let (_, _, other_key) = issue("telemetry.example");
    let damaged = key.replacen("MI", "%%", 1);
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let no_key = key.replacen("MI", "MJ", 1);
    let no_certificate = certificate.replacen("MI", "MJ", 1);
    for (certificate, key, reason) in [
        (&*key, &*key, "certificates: expected certificates in PEM"),
        ("", &key, "certificates: expected certificates in PEM"),
        (&no_certificate, &key, "key: the key cannot be used with certificates: "),
        (&certificate, &certificate, "key: expected a private key in PEM"),
        (&certificate, "", "key: expected a private key in PEM"),
        (&certificate, &damaged, "key: expected a private key in PEM"),
        (&certificate, &encrypted, "key: expected a private key in PEM"),
        (&certificate, &no_key, "key: the key cannot be used with certificates: "),
        (&certificate, &other_key, "key: the key cannot be used with certificates: "),
    ] {
        let files = [certificate, key].map(TemporaryFile::new);
        let builder = Collector::builder().certificate_files(files[0].path(), files[1].path());
        let error = builder.start().map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = error.to_string().replace(files[0].text(), "certificates");
        let error = error.replace(files[1].text(), "key");
        assert!(error.starts_with(reason), "{reason}: {error}");
        let lines = key.lines().chain(certificate.lines()).filter(|line| line.len() > 60);
        assert!(lines.into_iter().all(|line| !error.contains(line)), "{error}");
    }
    let file = TemporaryFile::new(&certificate);
    for (certificate, key) in [(file.text(), "/nowhere/x.pem"), ("/nowhere/x.pem", file.text())] {
        let error = Collector::builder().certificate_files(certificate, key).start().map(drop);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("/nowhere/x.pem: "), "{error}");
    }
}

#[cfg(feature = "keys")]
#[test]
fn collector_with_keys_and_a_certificate_listens_on_all_addresses() {
    let (ca, certificate, key) = issue("telemetry.example");
    let files = [certificate, key, String::new()].map(|text| TemporaryFile::new(&text));
    let collector = Collector::builder()
        .listen(std::net::Ipv4Addr::UNSPECIFIED.into())
        .keys(files[2].path())
        .certificate_files(files[0].path(), files[1].path())
        .start()
        .unwrap();
    let addr = (std::net::Ipv4Addr::LOCALHOST, collector.addr().port()).into();
    let response = client(addr, ca, "telemetry.example").request(EVENTS, &batch([event(1)]));
    assert_eq!(response.status, 401);
}

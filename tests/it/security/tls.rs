//! Servers with invalid certificates.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer,
};
use telemetry_tests::KEY;

use super::{
    logs::{capture, records},
    runs::run,
    search::Search,
    servers::{Server, answer, converse},
};
use crate::{
    client::{Client, Kind},
    support::{eager, run_alone},
};

/// A self-signed certificate, valid from the first to the second January 1.
pub(super) struct Identity {
    server: Arc<ServerConfig>,
    pub(super) certificate: Vec<u8>,
}

impl Identity {
    pub(super) fn new(host: &str, from: i32, to: i32) -> Self {
        let mut params = CertificateParams::new([host.to_owned()]).expect("a host");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has ciphers")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], private.into())
            .expect("the key matches the certificate");
        Self { server: Arc::new(server), certificate: certificate.to_vec() }
    }

    pub(super) fn server(&self) -> Server {
        let config = Arc::clone(&self.server);
        Server::speaking(move |stream, received| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a config");
            let stream = StreamOwned::new(connection, stream);
            converse(stream, received, |_| answer("200 OK", "{\"results\":[null]}"));
        })
    }
}

#[test]
fn server_with_invalid_certificate_gets_no_byte_and_the_reason_is_reported() {
    if run_alone(server_with_invalid_certificate_gets_no_byte_and_the_reason_is_reported, &[])
        .is_some()
    {
        return;
    }
    capture();
    let search = Search::new();
    // Each client trusts the certificate, or else that of another server.
    for (host, from, to, is_trusted, problem) in [
        ("127.0.0.1", 2000, 4000, true, None),
        ("127.0.0.1", 2000, 2001, true, Some("certificate expired")),
        ("127.0.0.1", 3000, 4000, true, Some("certificate not valid yet")),
        ("127.0.0.2", 2000, 4000, true, Some("certificate not valid for name")),
        ("127.0.0.1", 2000, 4000, false, Some("BadSignature")),
    ] {
        for kind in Kind::ALL {
            let identity = Identity::new(host, from, to);
            let other = Identity::new(host, from, to);
            let roots = if is_trusted { &identity } else { &other }.certificate.clone();
            let server = identity.server();
            let url = server.url().replace("http:", "https:");
            let run = run(eager(&url), |config| Client::trusting(kind, config, &roots));
            let (logged, received) = (records(), server.received());
            for record in logged.iter().filter(|record| !record.is_wire_log()) {
                search.must_not_find(&record.target, &record.text);
            }
            search.must_not_find("the output", &run.shown);
            let Some(problem) = problem else {
                assert_eq!(run.stats.delivered, 3, "{}", run.notifications);
                assert!(received[0].contains(&format!("\r\nauthorization: Bearer {KEY}\r\n")));
                continue;
            };
            assert_eq!(received, [""; 0], "{kind:?}, {problem}");
            assert_eq!((run.stats.delivered, run.stats.pending), (0, 3), "{kind:?}, {problem}");
            for text in ["Misconfigured", problem] {
                assert!(run.notifications.contains(text), "{kind:?}: {}", run.notifications);
            }
            let is_warned = logged.iter().any(|it| {
                it.target == "mosaicstack_telemetry"
                    && it.text.contains("WARN")
                    && it.text.contains(problem)
            });
            assert!(is_warned, "{kind:?}, {problem}: {logged:?}");
        }
    }
}

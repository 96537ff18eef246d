//! Valid and invalid certificates, and servers that use them.

use std::{net::TcpStream, sync::Arc};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer,
};

use super::{forms::base64, servers::Stream};

/// A private certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The certificate and key of a server.
pub(crate) struct Identity {
    tls: Arc<ServerConfig>,
    pub(crate) der: Vec<u8>,
}

/// Validity of a certificate, from the first to the second January 1.
pub(crate) type Years = (i32, i32);

pub(crate) const NOW: Years = (2000, 4000);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params("authority.invalid", NOW);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
        Self(issuer)
    }

    pub(crate) fn der(&self) -> &[u8] {
        self.0.der()
    }

    pub(crate) fn pem(&self) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(self.der()))
    }

    /// A server with a certificate of this authority.
    pub(crate) fn identity(&self, host: &str, years: Years) -> Identity {
        let key = key();
        let certificate = params(host, years).signed_by(&key, &self.0).expect("a certificate");
        Identity::new(&certificate, &key)
    }

    /// A server that uses the certificate of an authority, as `openssl req -x509` makes it.
    pub(crate) fn as_a_server(host: &str) -> Identity {
        let (mut params, key) = (params(host, NOW), key());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Identity::new(&params.self_signed(&key).expect("a certificate"), &key)
    }
}

impl Identity {
    /// A server with a self-signed certificate.
    pub(crate) fn self_signed(host: &str, years: Years) -> Self {
        let key = key();
        Self::new(&params(host, years).self_signed(&key).expect("a certificate"), &key)
    }

    fn new(certificate: &Certificate, key: &KeyPair) -> Self {
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has ciphers")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private.into())
            .expect("the key matches the certificate");
        Self { tls: Arc::new(tls), der: certificate.der().to_vec() }
    }

    pub(crate) fn accept(&self, stream: TcpStream) -> Box<dyn Stream> {
        let connection = ServerConnection::new(Arc::clone(&self.tls)).expect("a usable config");
        Box::new(StreamOwned::new(connection, stream))
    }
}

fn params(host: &str, (from, to): Years) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

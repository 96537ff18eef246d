//! Certificates, good and bad, and servers that show them.

use std::{net::TcpStream, sync::Arc};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer,
};

use super::{forms::base64, servers::Stream};

/// An authority that is nobody's but ours.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a server shows.
pub(crate) struct Identity {
    tls: Arc<ServerConfig>,
    pub(crate) der: Vec<u8>,
}

/// The years from whose beginning, and to whose beginning, a certificate is valid.
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

    /// A server whose certificate this authority has signed.
    pub(crate) fn identity(&self, host: &str, years: Years) -> Identity {
        let key = key();
        let certificate = params(host, years).signed_by(&key, &self.0).expect("a certificate");
        Identity::new(&certificate, &key)
    }

    /// A server that shows the authority's own certificate, as one does that was made with a few
    /// words of a command line.
    pub(crate) fn as_a_server(host: &str) -> Identity {
        let (mut params, key) = (params(host, NOW), key());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Identity::new(&params.self_signed(&key).expect("a certificate"), &key)
    }
}

impl Identity {
    /// A server that has signed its certificate itself.
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
            .expect("the key is the certificate's");
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

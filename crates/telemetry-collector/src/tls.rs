//! TLS with certificates that are generated at the start.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use uuid::Uuid;

/// The kind of certificate that a collector presents. The comments say how a client responds that
/// trusts the collector's [CA](crate::Collector::ca_pem).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// Issued by the CA for `localhost`, `127.0.0.1` and `::1`: accepted.
    Valid,
    /// Not issued by the CA: refused for its unknown issuer.
    SelfSigned,
    /// Issued by the CA until the end of 2020: refused as expired.
    Expired,
    /// Issued by the CA for `other.example`: refused for its name.
    WrongHost,
}

/// The CA's certificate, and the acceptor of TLS connections.
pub(crate) struct Tls {
    pub(crate) ca_pem: String,
    pub(crate) ca_der: Vec<u8>,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Generates a CA and a server certificate of this kind.
    pub(crate) fn new(certificate: Certificate) -> io::Result<Self> {
        let ca = generate_ca().map_err(io::Error::other)?;
        let (presented, key) = issue(certificate, &ca).map_err(io::Error::other)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(
                vec![presented.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { ca_pem: ca.pem(), ca_der: ca.der().to_vec(), acceptor: Arc::new(config).into() })
    }

    /// Performs the handshake.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

/// Generates a CA with a unique name.
fn generate_ca() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // So that a client that trusts the CA of another collector reports an unknown issuer.
    let name = format!("telemetry-collector CA {}", Uuid::new_v4());
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

/// Generates a server certificate and its key.
fn issue(
    certificate: Certificate,
    ca: &CertifiedIssuer<'_, KeyPair>,
) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let names = match certificate {
        Certificate::WrongHost => vec!["other.example".to_owned()],
        _ => vec![
            "localhost".to_owned(),
            Ipv4Addr::LOCALHOST.to_string(),
            Ipv6Addr::LOCALHOST.to_string(),
        ],
    };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "telemetry-collector");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if certificate == Certificate::Expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 12, 31);
    }
    let key = KeyPair::generate()?;
    let issued = match certificate {
        Certificate::SelfSigned => params.self_signed(&key)?,
        _ => params.signed_by(&key, ca)?,
    };
    Ok((issued, key))
}

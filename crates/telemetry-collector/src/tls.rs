//! TLS, with certificates that are made at the start.

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

/// The certificate that a collector shows, and what a client that trusts the collector's
/// [authority](crate::Collector::ca_pem) thinks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// Of the authority, for `localhost`, `127.0.0.1` and `::1`: it is accepted.
    Valid,
    /// Of nobody but itself: its issuer is unknown.
    SelfSigned,
    /// Of the authority, until the end of the year 2020: it has expired.
    Expired,
    /// Of the authority, for `other.example`: it is for another name.
    WrongHost,
}

/// What a collector with TLS has.
pub(crate) struct Tls {
    pub(crate) ca_pem: String,
    pub(crate) ca_der: Vec<u8>,
    acceptor: TlsAcceptor,
}

impl Tls {
    pub(crate) fn new(certificate: Certificate) -> io::Result<Self> {
        let authority = authority().map_err(io::Error::other)?;
        let (shown, key) = made(certificate, &authority).map_err(io::Error::other)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(
                vec![shown.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            ca_pem: authority.pem(),
            ca_der: authority.der().to_vec(),
            acceptor: Arc::new(config).into(),
        })
    }

    /// Shakes hands.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // A name of its own, so that a client that trusts another collector does not know it.
    let name = format!("telemetry-collector authority {}", Uuid::new_v4());
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn made(
    certificate: Certificate,
    authority: &CertifiedIssuer<'_, KeyPair>,
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
    let made = match certificate {
        Certificate::SelfSigned => params.self_signed(&key)?,
        _ => params.signed_by(&key, authority)?,
    };
    Ok((made, key))
}

//! TLS with certificates from files, or generated at the start.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
};
use tokio::io::{AsyncRead, AsyncWrite};
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

/// The source of the server's certificate and its private key.
#[derive(Debug)]
pub(crate) enum Identity {
    Generated(Certificate),
    Files(CertificateFiles),
}

/// A chain of certificates, the server's first, and its private key, both in PEM.
#[derive(Debug)]
pub(crate) struct CertificateFiles {
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
}

/// The acceptor of TLS connections.
pub(crate) struct Tls {
    /// `None` with files.
    pub(crate) ca: Option<Ca>,
    files: Option<CertificateFiles>,
    acceptor: Mutex<TlsAcceptor>,
}

/// The certificate of the CA that was generated.
pub(crate) struct Ca {
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
}

impl Tls {
    /// Reads the files, or generates a CA and a server certificate.
    pub(crate) fn new(identity: Identity) -> io::Result<Self> {
        let (ca, files, config) = match identity {
            Identity::Files(files) => {
                let config = files.config()?;
                (None, Some(files), config)
            }
            Identity::Generated(certificate) => {
                let ca = generate_ca().map_err(io::Error::other)?;
                let (presented, key) = issue(certificate, &ca).map_err(io::Error::other)?;
                let key = PrivatePkcs8KeyDer::from(key.serialize_der());
                let config = config(vec![presented.der().clone()], key.into());
                let ca = Ca { pem: ca.pem(), der: ca.der().to_vec() };
                (Some(ca), None, config.map_err(io::Error::other)?)
            }
        };
        Ok(Self { ca, files, acceptor: Mutex::new(Arc::new(config).into()) })
    }

    /// Reads the files again, for the connections from now on.
    ///
    /// # Errors
    ///
    /// A file cannot be read or is invalid; the previous certificate stays in use.
    pub(crate) fn reload(&self) -> io::Result<()> {
        if let Some(files) = &self.files {
            *self.acceptor.lock() = Arc::new(files.config()?).into();
        }
        Ok(())
    }

    /// Performs the handshake.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = self.acceptor.lock().clone();
        acceptor.accept(stream).await
    }
}

impl CertificateFiles {
    /// Reads the files. No message contains a part of one.
    fn config(&self) -> io::Result<ServerConfig> {
        let Self { certificates, key } = self;
        let invalid = |file: &Path, message: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {message}", file.display()))
        };
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&read(certificates)?).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| invalid(certificates, "expected certificates in PEM"))?;
        let private = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|_| invalid(key, "expected a private key in PEM that is not encrypted"))?;
        config(chain, private).map_err(|error| {
            let certificates = certificates.display();
            invalid(key, &format!("the key cannot be used with {certificates}: {error}"))
        })
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    fs::read(file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
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

//! Servers with a certificate.

use std::{io::Read, io::Write, sync::Arc};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};

/// What a server shows: a certificate that no authority has signed.
pub(crate) struct Identity(Arc<ServerConfig>);

impl Identity {
    /// Of a server that would rather speak HTTP/2. The certificate is for who is to trust it.
    pub(crate) fn of(host: &str) -> (Self, CertificateDer<'static>) {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has ciphers")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .expect("the key is the certificate's");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        (Self(Arc::new(config)), certificate)
    }

    pub(crate) fn accept<S: Read + Write>(&self, stream: S) -> StreamOwned<ServerConnection, S> {
        let connection = ServerConnection::new(self.0.clone()).expect("a usable config");
        StreamOwned::new(connection, stream)
    }
}

//! Connectors with TLS.

use std::sync::Arc;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, crypto::ring};

pub(super) type Config = ClientConfig;

/// Adds TLS to a connector, for `https` only.
pub(super) type TlsConnector<C> = HttpsConnector<C>;

/// Trusts Mozilla's root certificates.
pub(super) fn config() -> Config {
    builder().with_webpki_roots().with_no_client_auth()
}

pub(super) fn config_trusting(roots: RootCertStore) -> Config {
    builder().with_root_certificates(roots).with_no_client_auth()
}

/// Names the provider, since rustls panics if it has to choose among several or none.
fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
}

pub(super) fn connector<C>(inner: C, config: &Config) -> TlsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(config.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(inner)
}

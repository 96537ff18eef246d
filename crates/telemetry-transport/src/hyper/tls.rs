//! TLS, with the feature `rustls`.

use std::sync::Arc;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, crypto::ring};

use crate::TransportError;

pub(super) const AVAILABLE: bool = true;

pub(super) type Config = ClientConfig;

/// A connector that speaks TLS where the address says `https`.
pub(super) type Secured<C> = HttpsConnector<C>;

/// Mozilla's roots, and nothing of the process's defaults.
pub(super) fn config() -> Result<Config, TransportError> {
    Ok(builder()?.with_webpki_roots().with_no_client_auth())
}

/// These roots alone.
pub(super) fn config_trusting(roots: RootCertStore) -> Result<Config, TransportError> {
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TransportError> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TransportError::other)
}

pub(super) fn secured<C>(connector: C, config: &Config) -> Secured<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(config.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
}

//! Connectors with TLS.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Uri, uri::Scheme};
use hyper::rt::{Read, Write};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::{crypto::MissingProvider, settings::Settings};

/// `None` without a crypto provider.
pub(super) type Config = Option<Arc<ClientConfig>>;

pub(super) fn config(settings: &Settings) -> Config {
    // A provider without a cipher suite for TLS 1.2 or 1.3 is none.
    let builder = ClientConfig::builder_with_provider(settings.provider.clone()?)
        .with_safe_default_protocol_versions()
        .ok()?;
    let builder = match settings.certificates() {
        None => builder.with_webpki_roots(),
        Some(certificates) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates);
            builder.with_root_certificates(roots)
        }
    };
    Some(Arc::new(builder.with_no_client_auth()))
}

pub(super) fn connector<C>(inner: C, config: &Config) -> TlsConnector<C> {
    match config {
        Some(config) => TlsConnector::Tls((inner, Arc::clone(config)).into()),
        None => TlsConnector::Plain(inner),
    }
}

/// Adds TLS to a connector, for `https` only.
#[derive(Clone)]
pub(super) enum TlsConnector<C> {
    Tls(HttpsConnector<C>),
    /// Without a crypto provider, `https` is an error.
    Plain(C),
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<C> Service<Uri> for TlsConnector<C>
where
    C: Service<Uri>,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = MaybeHttpsStream<C::Response>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Tls(connector) => connector.poll_ready(cx),
            Self::Plain(connector) => connector.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Tls(connector) => connector.call(uri),
            Self::Plain(_) if uri.scheme() == Some(&Scheme::HTTPS) => {
                Box::pin(async { Err(MissingProvider.into()) })
            }
            Self::Plain(connector) => {
                let connecting = connector.call(uri);
                Box::pin(async move {
                    Ok(MaybeHttpsStream::Http(connecting.await.map_err(Into::into)?))
                })
            }
        }
    }
}

//! The blocking transport, over ureq.

use std::{
    io::{self, Read},
    time::Duration,
};

use ureq::Agent;

use crate::{
    MAX_RESPONSE_BYTES, Request, Response, Timeout, Transport, TransportError, is_loopback,
};

/// What ureq can add to a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Sends over HTTP/1.1 with [ureq](https://docs.rs/ureq), on the calling thread (ureq looks names up
/// on a short-lived thread, to keep the time-out).
///
/// - Connections are kept alive and used again.
/// - Redirects are not followed, and any status is an answer.
/// - TLS (feature `rustls`) is rustls with the ring provider, named here, so a program that has
///   another provider or none as its default is not affected, nor is this; the roots are Mozilla's,
///   compiled in. Without the feature, `https` is an error.
/// - A proxy is taken from `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`, unless `NO_PROXY` names the
///   host; read once, when the transport is made. Loopback is never reached through a proxy: it
///   would be the proxy's own, and the key would travel in the open.
///
/// A clone shares the connections.
#[derive(Clone, Debug)]
pub struct UreqTransport {
    agent: Agent,
}

impl UreqTransport {
    /// Makes a transport. Opens no connection yet and starts no thread.
    #[must_use]
    pub fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false);
        #[cfg(feature = "rustls")]
        let config = config.tls_config(
            ureq::tls::TlsConfig::builder()
                .provider(ureq::tls::TlsProvider::Rustls)
                .unversioned_rustls_crypto_provider(std::sync::Arc::new(
                    rustls::crypto::ring::default_provider(),
                ))
                .root_certs(ureq::tls::RootCerts::WebPki)
                .build(),
        );
        Self { agent: config.build().into() }
    }
}

impl Default for UreqTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for UreqTransport {
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        let timeout = Timeout::of(&request).min(LONGEST);
        let direct = request.uri().host().is_some_and(is_loopback);
        let mut config = self.agent.configure_request(request).timeout_global(Some(timeout));
        if direct {
            config = config.proxy(None);
        }
        let request = config.build();
        let (parts, mut body) = self.agent.run(request).map_err(transport_error)?.into_parts();
        let mut bytes = Vec::new();
        body.as_reader()
            .take(MAX_RESPONSE_BYTES as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| transport_error(error.into()))?;
        Ok(Response::from_parts(parts, bytes))
    }
}

fn transport_error(error: ureq::Error) -> TransportError {
    use ureq::Error;
    match error {
        Error::Timeout(_) => TransportError::Timeout,
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => TransportError::Timeout,
        // How rustls reports what it refuses in a handshake.
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            TransportError::other(error)
        }
        Error::Io(_)
        | Error::HostNotFound
        | Error::ConnectionFailed
        | Error::ConnectProxyFailed(_)
        | Error::Protocol(_)
        | Error::LargeResponseHeader(..) => TransportError::network(error),
        error => TransportError::other(error),
    }
}

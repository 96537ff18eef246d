//! The blocking transport, over ureq.

use std::{
    io::{self, Read},
    time::Duration,
};

#[cfg(feature = "rustls")]
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{
    Agent, Proxy, ProxyProtocol,
    config::ConfigBuilder,
    typestate::AgentScope,
    unversioned::{
        resolver::{DefaultResolver, Resolver},
        transport::Connector,
    },
};

use self::{
    lookup::{Connecting, Later},
    veil::{Unveiling, Veil},
};
use crate::{
    MAX_RESPONSE_BYTES, Request, Response, Timeout, Transport, TransportError, is_loopback,
    proxy::{Environment, Exempt, variable},
};
#[cfg(feature = "rustls")]
use crate::{RootCertificateError, roots::Roots};

mod lookup;
mod veil;

/// What ureq can add to a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Sends over HTTP/1.1 with [ureq](https://docs.rs/ureq), on the calling thread.
///
/// - Connections are kept alive and used again. A name is looked up for each connection, on a
///   short-lived thread, to keep the time-out; an address needs no look-up and no thread.
/// - Redirects are not followed, and any status is an answer.
/// - TLS (feature `rustls`) is rustls with the ring provider, named here, so a program that has
///   another provider or none as its default is not affected, nor is this; the roots are Mozilla's,
///   compiled in, or those of `with_root_certificates`. Without the feature, `https` is an error.
/// - What ureq logs, through the crate `log`, does not hold the `Authorization` header of requests. At
///   level TRACE it holds all the rest of them, all answers, and a proxy's password.
/// - A proxy is taken from `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`, the first that names an
///   `http` or `https` proxy, or their lower-case names, unless `NO_PROXY` names the host; read once,
///   when the transport is made. The proxy tunnels (`CONNECT`), for `http` too. If there are only
///   others, such as SOCKS, requests are errors rather than sent past the proxy. Loopback is never
///   reached through a proxy: it would be the proxy's own, and the key would travel in the open.
///
/// A clone shares the connections.
#[derive(Clone, Debug)]
pub struct UreqTransport {
    agent: Agent,
    /// Why nothing may be sent but to hosts that need no proxy.
    unusable_proxy: Option<TransportError>,
    exempt: Exempt,
}

impl UreqTransport {
    /// Makes a transport. Opens no connection yet and starts no thread.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Environment::read(variable, parse_proxy), mozilla())
    }

    /// As [`new`](Self::new), for a server with a certificate of a private authority: trusts the
    /// authorities of `certificates` and no others, Mozilla's neither.
    ///
    /// `certificates` are as many as there are, as PEM, or one as DER: of an authority, or of a server
    /// that has signed its own and does not call itself an authority. To trust others as well, put them
    /// into the same PEM. A proxy that is reached over `https` must be one of theirs, too.
    ///
    /// ```no_run
    /// use telemetry_transport::UreqTransport;
    ///
    /// let ours = std::fs::read("/etc/ssl/our-authority.pem")?;
    /// let transport = UreqTransport::with_root_certificates(&ours)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is no certificate, or one that cannot be used.
    #[cfg(feature = "rustls")]
    pub fn with_root_certificates(certificates: &[u8]) -> Result<Self, RootCertificateError> {
        let roots = Roots::read(certificates)?;
        let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
        Ok(Self::with(Environment::read(variable, parse_proxy), trusting(RootCerts::from(roots))))
    }

    fn with(environment: Environment<Proxy>, config: ConfigBuilder<AgentScope>) -> Self {
        Self::with_names(environment, config, DefaultResolver::default())
    }

    fn with_names(
        environment: Environment<Proxy>,
        config: ConfigBuilder<AgentScope>,
        names: impl Resolver,
    ) -> Self {
        let (proxy, unusable_proxy) = match environment.proxy {
            Some(Ok(proxy)) => (Some(proxy), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let config = config
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false);
        let connector = Connecting::new(names).chain(Unveiling);
        let agent = Agent::with_parts(config.build(), connector, Later);
        Self { agent, unusable_proxy, exempt: environment.exempt }
    }
}

impl Default for UreqTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for UreqTransport {
    fn send(&self, mut request: Request) -> Result<Response, TransportError> {
        let timeout = Timeout::of(&request).min(LONGEST);
        let host = request.uri().host().unwrap_or_default();
        let direct = is_loopback(host) || self.exempt.contains(host);
        if let Some(error) = self.unusable_proxy.as_ref().filter(|_| !direct) {
            return Err(error.clone());
        }
        let _veil = Veil::over(&mut request);
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

/// Trusts Mozilla's roots, where there is TLS.
fn mozilla() -> ConfigBuilder<AgentScope> {
    #[cfg(feature = "rustls")]
    return trusting(RootCerts::WebPki);
    #[cfg(not(feature = "rustls"))]
    Agent::config_builder()
}

#[cfg(feature = "rustls")]
fn trusting(roots: RootCerts) -> ConfigBuilder<AgentScope> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(roots);
    Agent::config_builder().tls_config(tls.build())
}

pub(crate) fn parse_proxy(value: &str) -> Option<Proxy> {
    let proxy = Proxy::new(value).ok()?;
    // ureq would send past any other, and only warn.
    let is_https = matches!(proxy.protocol(), ProxyProtocol::Https);
    let is_usable = if is_https {
        cfg!(feature = "rustls")
    } else {
        matches!(proxy.protocol(), ProxyProtocol::Http)
    };
    is_usable.then_some(proxy)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with(environment: Environment<Proxy>) -> UreqTransport {
        UreqTransport::with(environment, mozilla())
    }

    fn transport(name: &str, value: &str, exempt: &str) -> UreqTransport {
        let variable = |asked: &str| match asked {
            "NO_PROXY" => Some(exempt.to_owned()),
            asked => (asked == name).then(|| value.to_owned()),
        };
        with(Environment::read(variable, parse_proxy))
    }

    /// Where nobody listens, by a name that is not taken for loopback.
    fn request() -> Request {
        let request = http::Request::post("http://0.0.0.0:1/");
        request.header("authorization", "Bearer key").body(Vec::new()).unwrap()
    }

    #[test]
    fn no_request_goes_past_a_proxy_that_cannot_be_used() {
        for proxy in ["socks5://user:hunter2@127.0.0.1:1", "socks4://127.0.0.1:1", "not a proxy"] {
            let transport = transport("ALL_PROXY", proxy, "");
            let error = transport.send(request()).unwrap_err();
            assert!(matches!(error, TransportError::Other(_)), "{error:?}");
            let text = format!("{error} {transport:?}");
            assert!(text.contains("ALL_PROXY cannot be used"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn an_exempt_host_needs_no_proxy() {
        for proxy in ["socks5://127.0.0.1:1", "http://127.0.0.1:2"] {
            let transport = transport("http_proxy", proxy, "0.0.0.0");
            let error = transport.send(request()).unwrap_err();
            assert!(matches!(error, TransportError::Network(_)), "{error:?}");
        }
        assert!(with(Environment::read(|_| None, parse_proxy)).unusable_proxy.is_none());
    }
}

//! The blocking transport over ureq.

use std::{
    io::{self, Read},
    time::Duration,
};

#[cfg(feature = "rustls")]
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Proxy, config::ConfigBuilder, typestate::AgentScope};

use crate::{
    MAX_RESPONSE_BYTES, Request, Response, Timeout, Transport, TransportError,
    proxy::{self, Proxies},
};
#[cfg(feature = "rustls")]
use crate::{RootCertificateError, roots::Roots};

/// Longest timeout. ureq adds it to the current time, which must not overflow.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A blocking transport over [ureq](https://docs.rs/ureq).
///
/// - Sends HTTP/1.1 on the calling thread. Connections are kept alive and reused.
/// - Applies the [`Timeout`] to each part of an exchange: connecting, sending, waiting for the head of
///   the response, and reading its body. A server that is silent in one part ends the exchange in
///   time; one that is slow in each takes a multiple.
/// - Resolves the host on the calling thread for each request, for as long as the system's resolver
///   takes. The client keeps its own deadlines meanwhile. A timeout of ureq that covers the look-up
///   would start a thread for every request, and panic if the system refuses the thread.
/// - Does not follow redirects. Every status is a response.
/// - With the feature `rustls`, TLS uses the [process-wide default crypto provider][default] if the
///   program has installed one, ring otherwise. Never installs one. Without the feature, `https` is
///   an error.
/// - Takes a proxy from the environment, see [Proxies](crate#proxies).
///
/// A clone shares the connections.
///
/// # Logging
///
/// ureq logs through the [`log`](https://docs.rs/log) crate. **At level `TRACE` it logs whole requests
/// and responses, including the `Authorization` header with the API key and the password of a proxy.**
/// The target is `ureq_proto::util`. At `DEBUG` and above, it logs the URL and a few harmless headers
/// only. A program that enables `TRACE` globally should silence it, for example with the filter
/// `trace,ureq=debug,ureq_proto=debug`.
///
/// [default]: https://docs.rs/rustls/0.23/rustls/crypto/struct.CryptoProvider.html#method.install_default
#[derive(Clone, Debug)]
pub struct UreqTransport {
    direct: Agent,
    proxied: Proxies<Agent>,
}

impl UreqTransport {
    /// Creates a transport that trusts Mozilla's root certificates.
    ///
    /// Reads the proxy variables. Opens no connection and starts no thread.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Proxies::from_env(parse_proxy), Agent::config_builder)
    }

    /// Creates a transport that trusts `certificates` instead of Mozilla's root certificates.
    ///
    /// See [Root certificates](crate#root-certificates) for the accepted formats.
    ///
    /// ```no_run
    /// use telemetry_transport::UreqTransport;
    ///
    /// let pem = std::fs::read("/etc/ssl/private-authority.pem")?;
    /// let transport = UreqTransport::with_root_certificates(&pem)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `certificates` contains no certificate or an invalid one.
    #[cfg(feature = "rustls")]
    pub fn with_root_certificates(certificates: &[u8]) -> Result<Self, RootCertificateError> {
        let roots = Roots::read(certificates)?;
        Ok(Self::with(Proxies::from_env(parse_proxy), config_trusting(&roots)))
    }

    fn with(proxies: Proxies<Proxy>, config: impl Fn() -> ConfigBuilder<AgentScope>) -> Self {
        let agent = |proxy| {
            config()
                // Also when `None`: the default is ureq's own reading of the environment.
                .proxy(proxy)
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .build()
                .new_agent()
        };
        // Two agents, since ureq pools no connection of a request that overrides the agent's proxy.
        Self { direct: agent(None), proxied: proxies.map(|proxy| agent(Some(proxy.clone()))) }
    }
}

#[cfg(test)]
impl UreqTransport {
    pub(crate) fn with_variables(
        variable: impl Fn(&str) -> Option<String>,
        roots: Option<&[u8]>,
    ) -> Self {
        let proxies = Proxies::read(variable, parse_proxy);
        match roots {
            #[cfg(feature = "rustls")]
            Some(roots) => {
                Self::with(proxies, config_trusting(&Roots::read(roots).expect("certificates")))
            }
            _ => Self::with(proxies, Agent::config_builder),
        }
    }

    pub(crate) fn with_agent(direct: Agent) -> Self {
        Self { direct, proxied: Proxies::read(|_| None, |_| None) }
    }
}

impl Default for UreqTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for UreqTransport {
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        let timeout = Some(Timeout::of(&request).min(MAX_TIMEOUT));
        let host = request.uri().host().unwrap_or_default();
        let agent = self.proxied.route(host)?.unwrap_or(&self.direct);
        let request = agent
            .configure_request(request)
            .timeout_connect(timeout)
            .timeout_send_request(timeout)
            .timeout_send_body(timeout)
            .timeout_recv_response(timeout)
            .timeout_recv_body(timeout)
            .build();
        let (parts, mut body) = agent.run(request).map_err(transport_error)?.into_parts();
        let mut bytes = Vec::new();
        // The head is the answer: an error in the body only ends the body.
        let _ = body.as_reader().take(MAX_RESPONSE_BYTES as u64).read_to_end(&mut bytes);
        Ok(Response::from_parts(parts, bytes))
    }
}

#[cfg(feature = "rustls")]
fn config_trusting(roots: &Roots) -> impl Fn() -> ConfigBuilder<AgentScope> + use<> {
    let certificates = roots.iter().map(|root| Certificate::from_der(root).to_owned());
    let tls = TlsConfig::builder().root_certs(RootCerts::from(certificates)).build();
    move || Agent::config_builder().tls_config(tls.clone())
}

pub(crate) fn parse_proxy(value: &str) -> Option<Proxy> {
    // ureq would only warn about an unsupported proxy, and connect without it.
    Proxy::new(value).ok().filter(|proxy| proxy::is_supported(proxy.uri()))
}

fn transport_error(error: ureq::Error) -> TransportError {
    use ureq::Error;
    match error {
        Error::Timeout(_) => TransportError::Timeout,
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => TransportError::Timeout,
        // rustls reports a failed handshake this way, for example an invalid certificate.
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

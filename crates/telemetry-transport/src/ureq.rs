//! The blocking transport over ureq.

use std::{
    any::Any,
    io::{self, Read},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use http::{StatusCode, Uri, uri::Scheme};
use rustls::crypto::CryptoProvider;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig, TlsConfigBuilder},
};

use crate::{
    Idempotent, MAX_RESPONSE_BYTES, Proxy, Request, Response, RootCertificateError, Timeout,
    Transport, TransportError,
    crypto::MissingProvider,
    proxy::{Proxies, is_refusal},
    request::is_disconnect,
    settings::{Settings, impl_settings},
};

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
/// - With a proxy, ureq resolves the proxy's host within the timeout of connecting, on a new thread for each
///   connection. If the system refuses the thread, it panics, which ends a program that is built with
///   `panic = "abort"`; otherwise the client counts the panic and tries again later. ureq has no stable
///   setting that avoids the thread and keeps the timeout; `HyperTransport` does not panic.
/// - Does not follow redirects. Every status is a response.
/// - Chooses the crypto provider of TLS as described in [TLS](crate#tls).
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
#[derive(Clone)]
pub struct UreqTransport {
    settings: Settings,
    /// Created by the first request, so that each setter does not create them again.
    agents: Arc<OnceLock<Agents>>,
}

/// Two agents, since ureq pools no connection of a request that overrides the agent's proxy.
struct Agents {
    direct: Agent,
    proxied: Proxies<Agent>,
    has_provider: bool,
}

impl UreqTransport {
    pub(crate) fn with(settings: Settings) -> Self {
        Self { settings, agents: Arc::default() }
    }

    #[cfg(test)]
    pub(crate) fn with_agent(direct: Agent) -> Self {
        let transport = Self::with(Settings::read(|_| None));
        let agents = Agents { direct, ..Agents::new(&transport.settings) };
        Self { agents: Arc::new(agents.into()), ..transport }
    }
}

impl_settings!(UreqTransport);

impl Agents {
    fn new(settings: &Settings) -> Self {
        // Without a crypto provider, `https` is an error.
        let tls = tls_config(settings);
        let has_provider = tls.is_some();
        let tls = tls.unwrap_or_default();
        let agent = |proxy| {
            Agent::config_builder()
                .tls_config(tls.clone())
                // Also when `None`: the default is ureq's own reading of the environment.
                .proxy(proxy)
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .build()
                .new_agent()
        };
        let proxied = settings.proxies.map(|it| agent(Some(it.ureq.clone())));
        Self { direct: agent(None), proxied, has_provider }
    }
}

impl Transport for UreqTransport {
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.settings.check(request.uri())?;
        let agents = self.agents.get_or_init(|| Agents::new(&self.settings));
        let agent = agents.proxied.route(request.uri())?.unwrap_or(&agents.direct);
        let proxy = agent.config().proxy().map(ureq::Proxy::uri);
        if !agents.has_provider && [Some(request.uri()), proxy].into_iter().flatten().any(is_https)
        {
            return Err(TransportError::other(MissingProvider)); // ureq would panic
        }
        let (start, again) = (now(), Idempotent::copy(&request));
        let result = match (exchange(agent, request), again) {
            (Err(ureq::Error::Io(error)), Some(mut request)) if is_disconnect(error.kind()) => {
                let left = Timeout::of(&request).saturating_sub(start.elapsed());
                if left.is_zero() {
                    return Err(TransportError::Timeout);
                }
                request.extensions_mut().insert(Timeout(left));
                exchange(agent, request)
            }
            (result, _) => result,
        };
        result.map_err(transport_error)
    }
}

#[expect(clippy::disallowed_methods, reason = "a transport waits in real time")]
fn now() -> Instant {
    Instant::now()
}

fn exchange(agent: &Agent, request: Request) -> Result<Response, ureq::Error> {
    let timeout = Some(Timeout::of(&request).min(MAX_TIMEOUT));
    let (head, body) = request.into_parts();
    let request = agent
        .configure_request(http::Request::from_parts(head, &*body))
        .timeout_connect(timeout)
        .timeout_send_request(timeout)
        .timeout_send_body(timeout)
        .timeout_recv_response(timeout)
        .timeout_recv_body(timeout)
        .build();
    let (parts, mut body) = agent.run(request)?.into_parts();
    let mut bytes = Vec::new();
    // The head is the answer: an error in the body only ends the body.
    let _ = body.as_reader().take(MAX_RESPONSE_BYTES as u64).read_to_end(&mut bytes);
    Ok(Response::from_parts(parts, bytes))
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

/// `None` without a crypto provider.
fn tls_config(settings: &Settings) -> Option<TlsConfig> {
    let roots = settings.certificates().map_or(RootCerts::WebPki, |certificates| {
        certificates.iter().map(|it| Certificate::from_der(it).to_owned()).into()
    });
    let builder = TlsConfig::builder().root_certs(roots);
    let provider = settings.provider.clone()?;
    set_provider(builder, TlsConfigBuilder::unversioned_rustls_crypto_provider, provider)
        .map(TlsConfigBuilder::build)
}

/// Calls `set`, which may take the provider of another version of rustls: ureq can change that in a minor
/// version. It is then not called, and the result is `None`, where a plain call would not compile.
fn set_provider<P: 'static>(
    builder: TlsConfigBuilder,
    set: impl FnOnce(TlsConfigBuilder, P) -> TlsConfigBuilder,
    provider: Arc<CryptoProvider>,
) -> Option<TlsConfigBuilder> {
    let provider: Box<dyn Any> = Box::new(provider);
    provider.downcast().ok().map(|provider| set(builder, *provider))
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
        Error::ConnectProxyFailed(reason) => {
            // The only place of the status: "proxy server responded 407/407".
            let mut numbers = reason.split(|c: char| !c.is_ascii_digit());
            let status = numbers.find_map(|number| StatusCode::from_bytes(number.as_bytes()).ok());
            match status {
                Some(status) if is_refusal(status) => TransportError::other(reason),
                _ => TransportError::network(reason),
            }
        }
        Error::Io(_)
        | Error::HostNotFound
        | Error::ConnectionFailed
        | Error::Protocol(_)
        | Error::LargeResponseHeader(..) => TransportError::network(error),
        error => TransportError::other(error),
    }
}

//! The asynchronous transport, over hyper.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Uri, Version, uri::PathAndQuery};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector, proxy::Tunnel},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    runtime::{Handle, Id},
    time,
};

use self::{
    bounded::Bounded, error::transport_error, proxy::Environment, resolver::Resolver, tls::Secured,
};
use crate::{
    AsyncTransport, MAX_RESPONSE_BYTES, Request, Response, ResponseFuture, Timeout, TransportError,
    is_loopback, proxy::Exempt,
};
#[cfg(feature = "rustls")]
use crate::{RootCertificateError, roots::Roots};

mod bounded;
mod error;
mod proxy;
mod resolver;
#[cfg_attr(not(feature = "rustls"), path = "hyper/no_tls.rs")]
mod tls;

#[cfg(test)]
pub(crate) use self::proxy::parse as parse_proxy;

/// How long a connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(15);

/// A head that is not complete when so much of it has come is too long.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// For how many runtimes connections are kept, those that asked last.
const MAX_RUNTIMES: usize = 4;

type Body = Full<Bytes>;
type Direct = Secured<HttpConnector<Resolver>>;
/// TLS to the proxy, if it wants it, and within the tunnel TLS to the server.
type Tunnelled = Secured<Tunnel<Direct>>;

/// Sends over HTTP/1.1 with [hyper](https://docs.rs/hyper), on a [tokio](https://docs.rs/tokio)
/// runtime.
///
/// - Connections are kept alive, for 15 seconds, and used again. A request for which the kept
///   connection turns out closed before a byte was written goes over another one; what may have been
///   written is never sent twice.
/// - Redirects are not followed, and any status is an answer. A head of more than 100
///   headers, or much more than 64 KiB, is an error.
/// - TLS (feature `rustls`) is rustls with the ring provider, named here, so a program that has
///   another provider or none as its default is not affected, nor is this; the roots are Mozilla's,
///   compiled in, or those of `with_root_certificates`. Without the feature, `https` is an error.
/// - A proxy is taken from `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`, the first that names an
///   `http` or `https` proxy, or their lower-case names, unless `NO_PROXY` names the host; read once,
///   when the transport is made. The proxy tunnels (`CONNECT`), for `http` too. If there are only
///   others, such as SOCKS, requests are errors rather than sent past the proxy. Loopback is never
///   reached through a proxy: it would be the proxy's own, and the key would travel in the open.
///
/// The runtime must have I/O and time enabled, as `#[tokio::main]` has; tokio panics if it has not.
/// Where there is no runtime, requests are errors. Connections live on the runtime that made them;
/// another one has its own, and those of the four that asked last are kept. Names are looked up on
/// threads beside the runtime's, four at the most, since a look-up that hangs would hold up the end of
/// the runtime. Making a connection takes 10 seconds at the most, also when the request allows more.
///
/// A clone shares the connections.
#[derive(Clone)]
pub struct HyperTransport {
    parts: Result<Arc<Parts>, TransportError>,
    /// A connection is driven by the runtime that made it, which may stand still while another one
    /// asks.
    clients: Arc<Mutex<VecDeque<(Id, Clients)>>>,
}

/// What clients are made of.
struct Parts {
    environment: Environment,
    resolver: Resolver,
    tls: tls::Config,
}

impl HyperTransport {
    /// Makes a transport. Opens no connection yet, starts nothing and needs no runtime yet.
    #[must_use]
    pub fn new() -> Self {
        let environment = proxy::environment(crate::proxy::variable);
        Self::with(environment, tls::config())
    }

    /// As [`new`](Self::new), for a server with a certificate of a private authority: trusts the
    /// authorities of `certificates` and no others, Mozilla's neither.
    ///
    /// `certificates` are as many as there are, as PEM, or one as DER: of an authority, or of a server
    /// that has signed its own and does not call itself an authority. To trust others as well, put them
    /// into the same PEM. A proxy that is reached over `https` must be one of theirs, too.
    ///
    /// ```no_run
    /// use telemetry_transport::HyperTransport;
    ///
    /// let ours = std::fs::read("/etc/ssl/our-authority.pem")?;
    /// let transport = HyperTransport::with_root_certificates(&ours)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is no certificate, or one that cannot be used.
    #[cfg(feature = "rustls")]
    pub fn with_root_certificates(certificates: &[u8]) -> Result<Self, RootCertificateError> {
        let roots = Roots::read(certificates)?.store()?;
        let environment = proxy::environment(crate::proxy::variable);
        Ok(Self::with(environment, tls::config_trusting(roots)))
    }

    fn with(environment: Environment, tls: Result<tls::Config, TransportError>) -> Self {
        let resolver = Resolver::new();
        let parts = tls.map(|tls| Arc::new(Parts { environment, resolver, tls }));
        Self { parts, clients: Arc::default() }
    }

    /// The clients of a runtime.
    fn clients(&self, runtime: Id) -> Result<Clients, TransportError> {
        let parts = self.parts.as_ref().map_err(Clone::clone)?;
        let mut all = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, clients)) = all.iter().find(|(id, _)| *id == runtime) {
            return Ok(clients.clone());
        }
        let clients = Clients::new(parts);
        all.truncate(MAX_RUNTIMES - 1);
        all.push_front((runtime, clients.clone()));
        Ok(clients)
    }
}

impl Default for HyperTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl AsyncTransport for HyperTransport {
    fn send(&self, request: Request) -> ResponseFuture<'_> {
        Box::pin(async move {
            let runtime = Handle::try_current().map_err(TransportError::other)?;
            check(request.uri())?;
            let clients = self.clients(runtime.id())?;
            time::timeout(Timeout::of(&request), clients.send(request))
                .await
                .unwrap_or(Err(TransportError::Timeout))
        })
    }
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the parts: the proxy's password is among them.
        f.debug_struct("HyperTransport").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Clients {
    direct: Client<Bounded<Direct>, Body>,
    proxied: Option<Proxied>,
}

#[derive(Clone)]
struct Proxied {
    client: Result<Client<Bounded<Tunnelled>, Body>, TransportError>,
    exempt: Exempt,
}

impl Clients {
    fn new(Parts { environment, resolver, tls }: &Parts) -> Self {
        let mut http = HttpConnector::new_with_resolver(resolver.clone());
        http.enforce_http(false);
        http.set_nodelay(true);
        // For all addresses of a name together: each gets its share.
        http.set_connect_timeout(Some(Timeout::DEFAULT));
        let direct = tls::secured(http, tls);
        let proxied = environment.proxy.as_ref().map(|proxy| Proxied {
            client: proxy.as_ref().map_err(Clone::clone).map(|proxy| {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), direct.clone());
                if let Some(credentials) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(credentials.clone());
                }
                client(Bounded(tls::secured(tunnel, tls)))
            }),
            exempt: environment.exempt.clone(),
        });
        Self { direct: client(Bounded(direct)), proxied }
    }

    async fn send(&self, mut request: Request) -> Result<Response, TransportError> {
        *request.version_mut() = Version::HTTP_11;
        let host = request.uri().host().unwrap_or_default();
        match &self.proxied {
            Some(proxied) if !is_loopback(host) && !proxied.exempt.contains(host) => {
                let client = proxied.client.as_ref().map_err(Clone::clone)?;
                *request.uri_mut() = with_port(request.uri())?;
                exchange(client, request).await
            }
            _ => exchange(&self.direct, request).await,
        }
    }
}

fn client<C: Connect + Clone>(connector: C) -> Client<C, Body> {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(MAX_HEAD_BYTES)
        .build(connector)
}

fn check(uri: &Uri) -> Result<(), TransportError> {
    match uri.scheme_str() {
        Some("https") if !tls::AVAILABLE => Err(TransportError::other(
            "https needs the feature `rustls` of the crate telemetry-transport",
        )),
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        _ => Err(TransportError::other("the address is not http:// or https:// with a host")),
    }
}

/// A tunnel takes 443 for the port of any address that names none.
fn with_port(uri: &Uri) -> Result<Uri, TransportError> {
    if uri.port().is_some() || uri.scheme_str() != Some("http") {
        return Ok(uri.clone());
    }
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::builder()
        .scheme("http")
        .authority(format!("{}:80", uri.host().unwrap_or_default()))
        .path_and_query(path)
        .build()
        .map_err(TransportError::other)
}

async fn exchange<C>(client: &Client<C, Body>, request: Request) -> Result<Response, TransportError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let answer = client.request(request.map(Full::from)).await;
    let (parts, mut body) = answer.map_err(|error| transport_error(&error))?.into_parts();
    let mut bytes = Vec::new();
    while bytes.len() < MAX_RESPONSE_BYTES
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame.map_err(|error| transport_error(&error))?.into_data() {
            let left = MAX_RESPONSE_BYTES - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(left)]);
        }
    }
    Ok(Response::from_parts(parts, bytes))
}

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
mod tests;

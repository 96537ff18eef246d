//! The asynchronous transport over hyper.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Uri, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::{
        legacy::{
            Client,
            connect::{Connect, HttpConnector},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    runtime::{Handle, Id},
    time,
};

pub(crate) use self::resolver::Resolver;
use self::{
    connect_timeout::{ConnectTimeout, TcpConnector, with_timeout},
    error::transport_error,
    tls::TlsConnector,
    tunnel::Tunnel,
};
use crate::{
    AsyncTransport, Idempotent, Proxy, Request, Response, ResponseFuture, RootCertificateError,
    Timeout, TransportError, body,
    causes::is_disconnect,
    proxy::Proxies,
    settings::{Settings, impl_settings},
};

mod connect_timeout;
mod error;
mod resolver;
mod tls;
mod tunnel;

/// Age at which an idle connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Buffer for the head of a response. A longer head is an error.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Number of runtimes for which connections are kept, those used last.
const MAX_RUNTIMES: usize = 4;

type Body = Full<Bytes>;
type DirectConnector = ConnectTimeout<TlsConnector<TcpConnector>>;
/// TLS to the server, inside a tunnel, inside an optional TLS connection to the proxy.
type TunnelConnector = ConnectTimeout<TlsConnector<Tunnel<TlsConnector<TcpConnector>>>>;

/// An asynchronous transport over [hyper](https://docs.rs/hyper), for
/// [tokio](https://docs.rs/tokio) runtimes with I/O and time enabled.
///
/// - Sends HTTP/1.1. Connections are kept alive for 15 seconds and reused. A request goes to a second
///   connection only if the first was found closed before any byte was written, or if it is
///   [idempotent](Idempotent).
/// - Resolves hosts on dedicated threads, at most four at a time. If the system refuses a thread, that is
///   a network error. The addresses of a host are tried
///   in order; each has an equal share of the [`Timeout`].
/// - Does not follow redirects. Every status is a response. A head of more than 100 headers or
///   about 64 KiB is an error.
/// - Chooses the crypto provider of TLS as described in [TLS](crate#tls).
/// - Takes a proxy from the environment, see [Proxies](crate#proxies).
/// - Its log contains neither headers nor bodies, at any level.
///
/// Without a runtime, requests are errors; tokio panics on a runtime without I/O or time. Connections
/// belong to the runtime that made them. They are kept for the four runtimes used last.
///
/// A clone shares the connections.
#[derive(Clone)]
pub struct HyperTransport {
    settings: Settings,
    shared: Arc<Shared>,
}

struct Shared {
    resolver: Resolver,
    /// Created by the first request, so that each setter does not create it again.
    tls: OnceLock<tls::Config>,
    /// By runtime. A connection is driven by the runtime that made it, which may not be running when
    /// another one sends a request.
    clients: Mutex<VecDeque<(Id, Clients)>>,
}

impl HyperTransport {
    pub(crate) fn with(settings: Settings) -> Self {
        Self::with_resolver(settings, Resolver::default())
    }

    pub(crate) fn with_resolver(settings: Settings, resolver: Resolver) -> Self {
        let shared = Shared { resolver, tls: OnceLock::new(), clients: Mutex::default() };
        Self { settings, shared: Arc::new(shared) }
    }

    fn clients(&self, runtime: Id) -> Clients {
        let mut all = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|(id, _)| *id == runtime);
        let clients = match known.and_then(|index| all.remove(index)) {
            Some((_, clients)) => clients,
            None => Clients::new(&self.settings, &self.shared),
        };
        // The one used last is in front.
        all.truncate(MAX_RUNTIMES - 1);
        all.push_front((runtime, clients.clone()));
        clients
    }
}

impl_settings!(HyperTransport);

impl AsyncTransport for HyperTransport {
    fn send(&self, request: Request) -> ResponseFuture<'_> {
        Box::pin(async move {
            let runtime = Handle::try_current().map_err(TransportError::other)?;
            check_scheme(request.uri())?;
            self.settings.check(request.uri())?;
            let clients = self.clients(runtime.id());
            let timeout = Timeout::of(&request);
            let (mut head, mut bytes) = (None, Vec::new());
            let exchange = time::timeout(timeout, async {
                let response = with_timeout(timeout, clients.send(request));
                let (parts, body) = response.await?.into_parts();
                head = Some(parts);
                body::read(body, &mut bytes).await;
                Ok(())
            });
            let result = exchange.await.unwrap_or(Err(TransportError::Timeout));
            match head {
                // The head is the answer: a timeout in the body only ends the body.
                Some(parts) => Ok(Response::from_parts(parts, bytes)),
                None => Err(result.err().unwrap_or(TransportError::Timeout)),
            }
        })
    }
}

/// The clients of one runtime.
#[derive(Clone)]
struct Clients {
    direct: Client<DirectConnector, Body>,
    proxied: Proxies<Client<TunnelConnector, Body>>,
}

impl Clients {
    fn new(settings: &Settings, shared: &Shared) -> Self {
        let tls = shared.tls.get_or_init(|| tls::config(settings));
        let mut http = HttpConnector::new_with_resolver(shared.resolver.clone());
        http.enforce_http(false);
        http.set_nodelay(true);
        let connector = tls::connector(TcpConnector(http), tls);
        let proxied = settings.proxies.map(|proxy| {
            let tunnel = Tunnel::new(proxy, connector.clone());
            client(tls::connector(tunnel, tls))
        });
        Self { direct: client(connector), proxied }
    }

    async fn send(&self, mut request: Request) -> Result<http::Response<Incoming>, TransportError> {
        *request.version_mut() = Version::HTTP_11;
        match self.proxied.route(request.uri())? {
            Some(client) => exchange(client, request).await,
            None => exchange(&self.direct, request).await,
        }
    }
}

fn client<C>(connector: C) -> Client<ConnectTimeout<C>, Body>
where
    ConnectTimeout<C>: Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(MAX_HEAD_BYTES)
        .build(ConnectTimeout(connector))
}

async fn exchange<C>(
    client: &Client<C, Body>,
    request: Request,
) -> Result<http::Response<Incoming>, TransportError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let again = Idempotent::copy(&request);
    let mut response = client.request(request.map(Full::from)).await;
    if let (Err(error), Some(request)) = (&response, again)
        && !error.is_connect()
        && is_disconnect(error)
    {
        response = client.request(request.map(Full::from)).await;
    }
    response.map_err(|error| transport_error(&error))
}

fn check_scheme(uri: &Uri) -> Result<(), TransportError> {
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        _ => Err(TransportError::other("invalid URL, expected http:// or https:// and a host")),
    }
}

pub(crate) fn parse_proxy(value: &str) -> Option<Intercept> {
    // `Matcher` would end the credentials at the first `@`, which may be part of the password.
    let value = match value.rsplit_once('@') {
        Some((credentials, host)) => format!("{}@{host}", credentials.replace('@', "%40")),
        None => value.to_owned(),
    };
    let matcher = Matcher::builder().all(value).build();
    matcher.intercept(&Uri::from_static("http://any"))
}

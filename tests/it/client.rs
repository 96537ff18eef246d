//! Either client, with the same blocking methods.

use std::{future::ready, sync::Arc, time::Duration};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, CachedPrediction, FlushError, PredictionError, PredictionQuery,
    PredictionResponse, Stats, TelemetryClient, TelemetryConfig, TelemetryHandle,
    transport::{
        AsyncTransport, HyperTransport, Proxy, Request, Response, Transport, TransportError,
        UreqTransport,
    },
};
use tokio::runtime::{Builder, Runtime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On a thread, with ureq.
    Blocking,
    /// On tokio, with hyper.
    Tokio,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Blocking, Self::Tokio];
}

/// Result of a request.
pub(crate) type Reply = Result<Response, TransportError>;

#[derive(Debug)]
pub(crate) enum Client {
    Blocking(TelemetryClient),
    /// With the runtime of its task.
    Tokio(AsyncTelemetryClient, Runtime),
}

impl Client {
    /// A client that sends over sockets.
    pub(crate) fn start(kind: Kind, config: TelemetryConfig) -> Self {
        match kind {
            Kind::Blocking => Self::Blocking(TelemetryClient::start(config)),
            Kind::Tokio => Self::on(multi_thread(), || AsyncTelemetryClient::start(config)),
        }
    }

    /// A client on tokio that `start` starts in this runtime.
    pub(crate) fn on(runtime: Runtime, start: impl FnOnce() -> AsyncTelemetryClient) -> Self {
        Self::Tokio(runtime.block_on(async { start() }), runtime)
    }

    /// A client that trusts these certificates alone.
    pub(crate) fn trusting(kind: Kind, config: TelemetryConfig, roots: &[u8]) -> Self {
        Self::trusting_through(kind, config, roots, None)
    }

    /// A client that trusts these certificates alone, and connects through this proxy.
    pub(crate) fn trusting_through(
        kind: Kind,
        config: TelemetryConfig,
        roots: &[u8],
        proxy: Option<Proxy>,
    ) -> Self {
        match kind {
            Kind::Blocking => {
                let ureq = UreqTransport::new().with_root_certificates(roots);
                let mut ureq = ureq.expect("certificates");
                if let Some(proxy) = proxy {
                    ureq = ureq.with_proxy(proxy);
                }
                Self::Blocking(TelemetryClient::with_transport(config, ureq))
            }
            Kind::Tokio => {
                let hyper = HyperTransport::new().with_root_certificates(roots);
                let mut hyper = hyper.expect("certificates");
                if let Some(proxy) = proxy {
                    hyper = hyper.with_proxy(proxy);
                }
                Self::on(multi_thread(), || AsyncTelemetryClient::with_transport(config, hyper))
            }
        }
    }

    /// A client with a closure as its transport.
    pub(crate) fn with_transport(
        kind: Kind,
        config: TelemetryConfig,
        transport: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        match kind {
            Kind::Blocking => Self::Blocking(TelemetryClient::with_transport(config, transport)),
            Kind::Tokio => Self::on(multi_thread(), || {
                let transport = move |request| ready(transport(request));
                AsyncTelemetryClient::with_transport(config, transport)
            }),
        }
    }

    /// A client that sends over sockets. `begin` sees each request; the closure that it returns maps
    /// the result.
    pub(crate) fn observed<E: FnOnce(Reply) -> Reply + Send + 'static>(
        kind: Kind,
        config: TelemetryConfig,
        begin: impl Fn(&Request) -> E + Send + Sync + 'static,
    ) -> Self {
        if kind == Kind::Blocking {
            let ureq = UreqTransport::new();
            return Self::with_transport(kind, config, move |request| {
                begin(&request)(ureq.send(request))
            });
        }
        Self::on(multi_thread(), || {
            let hyper = Arc::new(HyperTransport::new());
            let transport = move |request: Request| {
                let (hyper, end) = (Arc::clone(&hyper), begin(&request));
                async move { end(hyper.send(request).await) }
            };
            AsyncTelemetryClient::with_transport(config, transport)
        })
    }

    pub(crate) fn handle(&self) -> TelemetryHandle {
        match self {
            Self::Blocking(client) => client.handle(),
            Self::Tokio(client, _) => client.handle(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.handle().stats()
    }

    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        match self {
            Self::Blocking(client) => client.flush(timeout),
            Self::Tokio(client, runtime) => runtime.block_on(client.flush(timeout)),
        }
    }

    pub(crate) fn stop(self) -> Stats {
        match self {
            Self::Blocking(client) => client.stop(),
            Self::Tokio(client, runtime) => runtime.block_on(client.stop()),
        }
    }

    pub(crate) fn cached(&self, query: &PredictionQuery) -> Option<CachedPrediction> {
        match self {
            Self::Blocking(client) => client.predictions().cached(query),
            Self::Tokio(client, _) => client.predictions().cached(query),
        }
    }

    pub(crate) fn get_all(
        &self,
        queries: &[PredictionQuery],
    ) -> Result<Vec<Arc<PredictionResponse>>, PredictionError> {
        match self {
            Self::Blocking(client) => client.predictions().get_all(queries),
            Self::Tokio(client, runtime) => runtime.block_on(client.predictions().get_all(queries)),
        }
    }

    pub(crate) fn refresh(&self, queries: &[PredictionQuery]) -> Result<(), PredictionError> {
        match self {
            Self::Blocking(client) => client.predictions().refresh(queries),
            Self::Tokio(client, runtime) => runtime.block_on(client.predictions().refresh(queries)),
        }
    }
}

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(crate) fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

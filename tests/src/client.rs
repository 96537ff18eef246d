//! Both clients behind one interface, for tests that run with each.

use std::{future::ready, sync::Arc, time::Duration};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, CachedPrediction, FlushError, PredictionError, PredictionQuery,
    PredictionResponse, Stats, TelemetryClient, TelemetryConfig, TelemetryHandle,
    transport::{
        AsyncTransport, HyperTransport, Request, Response, Transport, TransportError, UreqTransport,
    },
};
use tokio::runtime::{Builder, Runtime};

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two clients")]
pub enum Kind {
    /// On a thread, with ureq.
    Blocking,
    /// On tokio, with hyper.
    Tokio,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Blocking, Self::Tokio];
}

/// Result of a request.
pub type Reply = Result<Response, TransportError>;

/// A client of either kind, called from a thread.
#[derive(Debug)]
pub struct Client(Inner);

#[derive(Debug)]
enum Inner {
    Blocking(TelemetryClient),
    /// With the runtime of its task.
    Tokio(AsyncTelemetryClient, Runtime),
}

impl Client {
    /// A client that sends over sockets.
    #[must_use]
    pub fn start(kind: Kind, config: TelemetryConfig) -> Self {
        match kind {
            Kind::Blocking => Self(Inner::Blocking(TelemetryClient::start(config))),
            Kind::Tokio => Self::on_tokio(|| AsyncTelemetryClient::start(config)),
        }
    }

    /// A client whose requests have these results.
    pub fn with_transport(
        kind: Kind,
        config: TelemetryConfig,
        transport: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        match kind {
            Kind::Blocking => {
                Self(Inner::Blocking(TelemetryClient::with_transport(config, transport)))
            }
            Kind::Tokio => Self::on_tokio(|| {
                let transport = move |request| ready(transport(request));
                AsyncTelemetryClient::with_transport(config, transport)
            }),
        }
    }

    /// A client that sends over sockets; `begin` sees each request, the closure that it returns its
    /// result.
    pub fn observed<E: FnOnce(Reply) -> Reply + Send + 'static>(
        kind: Kind,
        config: TelemetryConfig,
        begin: impl Fn(&Request) -> E + Send + Sync + 'static,
    ) -> Self {
        match kind {
            Kind::Blocking => {
                let ureq = UreqTransport::new();
                Self::with_transport(kind, config, move |request| {
                    begin(&request)(ureq.send(request))
                })
            }
            Kind::Tokio => Self::on_tokio(|| {
                let hyper = Arc::new(HyperTransport::new());
                let transport = move |request: Request| {
                    let (hyper, end) = (Arc::clone(&hyper), begin(&request));
                    async move { end(hyper.send(request).await) }
                };
                AsyncTelemetryClient::with_transport(config, transport)
            }),
        }
    }

    fn on_tokio(start: impl FnOnce() -> AsyncTelemetryClient) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let client = runtime.block_on(async { start() });
        Self(Inner::Tokio(client, runtime))
    }

    /// Handle of the client.
    #[must_use]
    pub fn handle(&self) -> TelemetryHandle {
        match &self.0 {
            Inner::Blocking(client) => client.handle(),
            Inner::Tokio(client, _) => client.handle(),
        }
    }

    /// Counters of the client.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle().stats()
    }

    /// Flushes and waits.
    ///
    /// # Errors
    ///
    /// Events are pending.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        match &self.0 {
            Inner::Blocking(client) => client.flush(timeout),
            Inner::Tokio(client, runtime) => runtime.block_on(client.flush(timeout)),
        }
    }

    /// Stops and waits.
    #[must_use]
    pub fn stop(self) -> Stats {
        match self.0 {
            Inner::Blocking(client) => client.stop(),
            Inner::Tokio(client, runtime) => runtime.block_on(client.stop()),
        }
    }

    /// The cached answer to a query, without a request.
    #[must_use]
    pub fn cached(&self, query: &PredictionQuery) -> Option<CachedPrediction> {
        match &self.0 {
            Inner::Blocking(client) => client.predictions().cached(query),
            Inner::Tokio(client, _) => client.predictions().cached(query),
        }
    }

    /// Predictions for these queries, from the cache where fresh.
    ///
    /// # Errors
    ///
    /// A query has no answer.
    pub fn predict_all(
        &self,
        queries: &[PredictionQuery],
    ) -> Result<Vec<Arc<PredictionResponse>>, PredictionError> {
        match &self.0 {
            Inner::Blocking(client) => client.predictions().get_all(queries),
            Inner::Tokio(client, runtime) => {
                runtime.block_on(client.predictions().get_all(queries))
            }
        }
    }

    /// Asks the server for these predictions.
    ///
    /// # Errors
    ///
    /// A query has no answer.
    pub fn refresh(&self, queries: &[PredictionQuery]) -> Result<(), PredictionError> {
        match &self.0 {
            Inner::Blocking(client) => client.predictions().refresh(queries),
            Inner::Tokio(client, runtime) => {
                runtime.block_on(client.predictions().refresh(queries))
            }
        }
    }
}

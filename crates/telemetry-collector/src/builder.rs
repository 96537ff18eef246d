//! How a collector is to be.

use std::{
    fmt, io,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, mpsc},
    thread,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    BatchReport, Collector, FaultRule, InjectedFault, PredictionsReport, RecordedRequest, Refusal,
    server,
    shared::{Callbacks, Shared},
    store::Store,
};
#[cfg(feature = "tls")]
use crate::{Certificate, FailedHandshake};

/// The most events held, unless [`CollectorBuilder::max_events`] says otherwise.
const DEFAULT_MAX_EVENTS: usize = 100_000;

/// How a [`Collector`] is to be.
///
/// The callbacks run on the collector's thread, one at a time, before the request is answered; as long
/// as one runs, nothing else is served. One that panics costs its request the answer.
#[must_use = "a builder makes a collector when `start` is called"]
pub struct CollectorBuilder {
    port: u16,
    api_key: Option<String>,
    instance_id: Option<Uuid>,
    max_events: usize,
    remembered_ids: Option<usize>,
    faults: Vec<FaultRule>,
    callbacks: Callbacks,
    #[cfg(feature = "tls")]
    certificate: Option<Certificate>,
}

impl CollectorBuilder {
    pub(crate) fn new() -> Self {
        Self {
            port: 0,
            api_key: None,
            instance_id: None,
            max_events: DEFAULT_MAX_EVENTS,
            remembered_ids: None,
            faults: Vec::new(),
            callbacks: Callbacks::default(),
            #[cfg(feature = "tls")]
            certificate: None,
        }
    }

    /// The port on 127.0.0.1; 0, the default, is a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The key that reporting events takes. By default, none does.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The instance whose events are taken. By default, any is.
    pub fn instance_id(mut self, id: Uuid) -> Self {
        self.instance_id = Some(id);
        self
    }

    /// The most events held: the oldest are evicted first. By default 100,000.
    ///
    /// As many evicted ones are still known by their id, so that they are not taken again, unless
    /// [`remember_ids`](Self::remember_ids) says otherwise.
    pub fn max_events(mut self, max: usize) -> Self {
        self.max_events = max;
        self
    }

    /// The most evicted events that are still known by their id. One takes about 50 bytes.
    ///
    /// With as many as a test sends in all, `accepted` is the number of different events that
    /// arrived, whatever was sent twice, and [`Collector::has_accepted`] tells which, while few
    /// events are held.
    pub fn remember_ids(mut self, max: usize) -> Self {
        self.remembered_ids = Some(max);
        self
    }

    /// Adds a fault that applies from the first connection on; see [`Collector::fault`].
    pub fn fault(mut self, fault: impl Into<FaultRule>) -> Self {
        self.faults.push(fault.into());
        self
    }

    /// Speaks TLS, and shows a certificate of this kind. By default, it speaks plain HTTP.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Is called for each batch whose events were looked at one by one.
    pub fn on_batch(mut self, callback: impl Fn(&BatchReport) + Send + Sync + 'static) -> Self {
        self.callbacks.batch = Some(Box::new(callback));
        self
    }

    /// Is called for each predictions request that was answered.
    pub fn on_predictions(
        mut self,
        callback: impl Fn(&PredictionsReport) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.predictions = Some(Box::new(callback));
        self
    }

    /// Is called for each request for which the answer is not a 2xx.
    pub fn on_refusal(mut self, callback: impl Fn(&Refusal) + Send + Sync + 'static) -> Self {
        self.callbacks.refusal = Some(Box::new(callback));
        self
    }

    /// Is called for each request that arrived in full, before any other callback.
    pub fn on_request(
        mut self,
        callback: impl Fn(&RecordedRequest) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.request = Some(Box::new(callback));
        self
    }

    /// Is called for each request and each connection for which a script or a fault changes
    /// something.
    pub fn on_fault(mut self, callback: impl Fn(&InjectedFault) + Send + Sync + 'static) -> Self {
        self.callbacks.fault = Some(Box::new(callback));
        self
    }

    /// Is called for each connection that ended in its TLS handshake.
    #[cfg(feature = "tls")]
    pub fn on_failed_handshake(
        mut self,
        callback: impl Fn(&FailedHandshake) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.handshake = Some(Box::new(callback));
        self
    }

    /// Starts the collector; when this returns, it listens.
    ///
    /// # Errors
    ///
    /// The port is in use or not permitted, or there is no room for a socket or a thread.
    pub fn start(self) -> io::Result<Collector> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let max_evicted_ids = self.remembered_ids.unwrap_or(self.max_events);
        let mut store = Store::new(self.max_events, max_evicted_ids);
        self.faults.into_iter().for_each(|fault| store.faults.add(fault));
        let shared = Shared::new(self.api_key, self.instance_id, self.callbacks, store);
        #[cfg(feature = "tls")]
        let shared = shared.with_tls(self.certificate)?;
        let scheme = shared.scheme();
        let shared = Arc::new(shared);

        let (running, stopped) = oneshot::channel();
        let (started, starting) = mpsc::sync_channel(1);
        let (alive, ended) = mpsc::sync_channel(0);
        let thread = thread::Builder::new().name("telemetry-collector".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _alive = alive;
                server::run(listener, shared, &started, stopped);
            }
        })?;
        starting.recv().map_err(|_| io::Error::other("the collector's thread died"))??;
        Ok(Collector {
            url: format!("{scheme}://{addr}"),
            addr,
            shared,
            thread: thread.thread().id(),
            running: Some(running),
            ended: Mutex::new(ended),
        })
    }
}

impl fmt::Debug for CollectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorBuilder")
            .field("port", &self.port)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("instance_id", &self.instance_id)
            .field("max_events", &self.max_events)
            .field("remembered_ids", &self.remembered_ids)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

//! Configuration of a collector.

#[cfg(any(feature = "sqlite", feature = "tls"))]
use std::path::PathBuf;
#[cfg(feature = "_database")]
use std::time::Duration;
use std::{
    fmt, io,
    net::TcpListener,
    sync::{Arc, mpsc},
    thread,
};

use parking_lot::Mutex;
use telemetry_model::TaskCompletionEvent;
use tokio::sync::oneshot;
use uuid::Uuid;

#[cfg(feature = "keys")]
use crate::network::Network;
use crate::{
    BatchReport, Collector, FaultRule, InjectedFault, PredictionsReport, RecordedRequest, Refusal,
    access::{Access, SingleKey},
    server,
    shared::{Callbacks, Shared},
    store::Store,
};
#[cfg(feature = "tls")]
use crate::{
    Certificate, FailedHandshake,
    tls::{CertificateFiles, Identity, Tls},
};
#[cfg(feature = "_database")]
use crate::{
    StorageError,
    storage::{Location, Retention, writer::Stored},
};

/// The default of [`CollectorBuilder::max_events`].
const DEFAULT_MAX_EVENTS: usize = 100_000;

/// Configures and starts a [`Collector`].
///
/// Callbacks run on the thread of the collector, one at a time, before the response is sent: while
/// one runs, no other request is served. A callback that panics closes the connection of its
/// request.
#[must_use = "a builder has no effect until `start` is called"]
pub struct CollectorBuilder {
    port: u16,
    api_key: Option<String>,
    instance_id: Option<Uuid>,
    max_events: usize,
    remembered_ids: Option<usize>,
    rules: Vec<FaultRule>,
    callbacks: Callbacks,
    #[cfg(feature = "_database")]
    store: Option<Location>,
    #[cfg(feature = "_database")]
    retention: Retention,
    #[cfg(feature = "keys")]
    pub(crate) network: Network,
    #[cfg(feature = "tls")]
    identity: Option<Identity>,
}

impl CollectorBuilder {
    pub(crate) fn new() -> Self {
        Self {
            port: 0,
            api_key: None,
            instance_id: None,
            max_events: DEFAULT_MAX_EVENTS,
            remembered_ids: None,
            rules: Vec::new(),
            callbacks: Callbacks::default(),
            #[cfg(feature = "_database")]
            store: None,
            #[cfg(feature = "_database")]
            retention: Retention::default(),
            #[cfg(feature = "keys")]
            network: Network::new(),
            #[cfg(feature = "tls")]
            identity: None,
        }
    }

    /// Sets the port. The default, 0, chooses a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Requires this API key for events. By default none is required.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Rejects events of other instances. By default the events of any instance are accepted.
    pub fn instance_id(mut self, id: Uuid) -> Self {
        self.instance_id = Some(id);
        self
    }

    /// Limits the events held; the oldest are evicted. The default is 100,000.
    ///
    /// The ids of as many evicted events are remembered, so that a repetition counts as a duplicate,
    /// unless [`remember_ids`](Self::remember_ids) sets another limit.
    pub fn max_events(mut self, max: usize) -> Self {
        self.max_events = max;
        self
    }

    /// Limits the remembered ids of evicted events. An id takes about 50 bytes.
    ///
    /// With a limit above the number of events in a test, [`Collector::has_accepted`] and the count
    /// of duplicates are exact, however few events are held.
    pub fn remember_ids(mut self, max: usize) -> Self {
        self.remembered_ids = Some(max);
        self
    }

    /// Stores events in a SQLite database at `path`, which is created if there is no file. By default they
    /// are held in memory.
    ///
    /// An event is stored before its receipt is sent, and survives a loss of power. A repeated event is
    /// recognized after a restart as well. [`max_events`](Self::max_events) and
    /// [`remember_ids`](Self::remember_ids) have no effect: a store keeps its events, unless
    /// [`keep`](Self::keep) or [`max_size`](Self::max_size) bounds them.
    ///
    /// One collector at a time can open the file. The same folder holds its log (`-wal` and `-shm`) and a file
    /// that locks it (`-lock`).
    #[cfg(feature = "sqlite")]
    pub fn store(mut self, path: impl Into<PathBuf>) -> Self {
        self.store = Some(Location::File(path.into()));
        self
    }

    /// Stores events in a PostgreSQL database, such as `postgres://user@host/database`, in its schema
    /// `telemetry_collector`, which is created if there is none. Otherwise it is as a store in a file.
    ///
    /// Several collectors can share a database: an event that two of them receive is stored once, and both
    /// predict from the events of all. While the database cannot be reached, events are refused with a 503.
    ///
    /// With `sslmode=require` in the URL, connections are encrypted and the server's certificate is verified;
    /// this needs the feature `tls`. Without a password in the URL, that of the environment variable
    /// `PGPASSWORD` is used. No error or output contains it.
    #[cfg(feature = "postgres")]
    pub fn postgres(mut self, url: impl Into<String>) -> Self {
        self.store = Some(Location::Url(url.into()));
        self
    }

    /// Removes events from the store when this time has passed since their receipt. By default they are kept.
    ///
    /// The id of a removed event is forgotten.
    #[cfg(feature = "_database")]
    pub fn keep(mut self, age: Duration) -> Self {
        self.retention.keep = Some(age);
        self
    }

    /// Limits the bytes of the store and its log, at least 16 MiB; the oldest events are removed. By default
    /// there is no limit. In PostgreSQL, the bytes are those of the events and their indexes, as estimated.
    ///
    /// The id of a removed event is forgotten.
    #[cfg(feature = "_database")]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.retention.max_size = Some(bytes.max(Retention::MIN_SIZE));
        self
    }

    /// Calls back when the store cannot remove or merge events, and again when the reason changes. Runs on the
    /// thread that writes to the store. Events that cannot be stored are refused instead; see [`on_refusal`](Self::on_refusal).
    #[cfg(feature = "_database")]
    pub fn on_storage_error(
        mut self,
        callback: impl Fn(&StorageError) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.storage_error = Some(Box::new(callback));
        self
    }

    /// Adds a fault rule before the first connection; see [`Collector::fault`].
    pub fn fault(mut self, rule: impl Into<FaultRule>) -> Self {
        self.rules.push(rule.into());
        self
    }

    /// Serves HTTPS only, with a certificate of this kind. The default is plain HTTP.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, certificate: Certificate) -> Self {
        self.identity = Some(Identity::Generated(certificate));
        self
    }

    /// Serves HTTPS only, with the certificates of this file in PEM, the server's first, and its private key.
    #[cfg(feature = "tls")]
    pub fn certificate_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let (certificates, key) = (certificates.into(), key.into());
        self.identity = Some(Identity::Files(CertificateFiles { certificates, key }));
        self
    }

    /// Calls back for each accepted event, before the callback of its batch. Duplicates are left out, as are
    /// events that [`max_events`](Self::max_events) has evicted by the end of the batch.
    pub fn on_event(
        mut self,
        callback: impl Fn(&TaskCompletionEvent) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.event = Some(Box::new(callback));
        self
    }

    /// Calls back for each batch whose events were processed one by one.
    pub fn on_batch(mut self, callback: impl Fn(&BatchReport) + Send + Sync + 'static) -> Self {
        self.callbacks.batch = Some(Box::new(callback));
        self
    }

    /// Calls back for each predictions request that was processed.
    pub fn on_predictions(
        mut self,
        callback: impl Fn(&PredictionsReport) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.predictions = Some(Box::new(callback));
        self
    }

    /// Calls back for each response whose status is not a 2xx.
    pub fn on_refusal(mut self, callback: impl Fn(&Refusal) + Send + Sync + 'static) -> Self {
        self.callbacks.refusal = Some(Box::new(callback));
        self
    }

    /// Calls back for each request that was read to its end, before any other callback.
    pub fn on_request(
        mut self,
        callback: impl Fn(&RecordedRequest) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.request = Some(Box::new(callback));
        self
    }

    /// Calls back for each request and each connection that a script or a fault rule changes.
    pub fn on_fault(mut self, callback: impl Fn(&InjectedFault) + Send + Sync + 'static) -> Self {
        self.callbacks.fault = Some(Box::new(callback));
        self
    }

    /// Calls back for each connection that ends in its TLS handshake.
    #[cfg(feature = "tls")]
    pub fn on_failed_handshake(
        mut self,
        callback: impl Fn(&FailedHandshake) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.failed_handshake = Some(Box::new(callback));
        self
    }

    /// Starts the collector. It accepts connections when this returns.
    ///
    /// # Errors
    ///
    /// If the port is in use ([`io::ErrorKind::AddrInUse`]) or not permitted, or if the socket, the
    /// thread or the certificate cannot be created. If settings exclude each other
    /// ([`io::ErrorKind::InvalidInput`]), or a file of keys or certificates cannot be read or is invalid
    /// ([`io::ErrorKind::InvalidData`]); the message then names the file, and no part of its content.
    ///
    /// With a store, also if another process has it open, if its folder does not exist, if it cannot be
    /// written or reached, is damaged, is of a newer version, or is something else than a store. The inner error is
    /// then a `StorageError`.
    pub fn start(self) -> io::Result<Collector> {
        let access = self.access()?;
        #[cfg(feature = "keys")]
        let address = self.network.listen;
        #[cfg(not(feature = "keys"))]
        let address = std::net::Ipv4Addr::LOCALHOST;
        #[cfg(feature = "tls")]
        let tls = self.identity.map(Tls::new).transpose()?;
        let listener = TcpListener::bind((address, self.port))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let max_evicted_ids = self.remembered_ids.unwrap_or(self.max_events);
        let mut store = Store::new(self.max_events, max_evicted_ids);
        self.rules.into_iter().for_each(|rule| store.rules.add(rule));
        #[cfg(feature = "_database")]
        let stored = match &self.store {
            Some(location) => {
                let database = location.open(self.retention).map_err(io::Error::other)?;
                store.record_counts(database.counts());
                Some(Stored::new(database))
            }
            None => None,
        };
        #[cfg(feature = "tls")]
        let scheme = if tls.is_some() { "https" } else { "http" };
        #[cfg(not(feature = "tls"))]
        let scheme = "http";
        let shared = Arc::new(Shared::new(
            access,
            self.callbacks,
            store,
            #[cfg(feature = "tls")]
            tls,
            #[cfg(feature = "_database")]
            stored,
        ));
        #[cfg(feature = "_database")]
        if let Some(stored) = &shared.stored {
            stored.start(Arc::downgrade(&shared))?;
        }

        let (running, stopped) = oneshot::channel();
        let (started, starting) = mpsc::sync_channel(1);
        let (alive, ended) = mpsc::sync_channel(0);
        let thread = thread::Builder::new().name("telemetry-collector".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                // Dropped at the end of the thread, even by a panic.
                let _alive = alive;
                server::run(listener, shared, &started, stopped);
            }
        })?;
        starting.recv().map_err(|_| io::Error::other("the collector's thread panicked"))??;
        Ok(Collector {
            url: format!("{scheme}://{addr}"),
            addr,
            shared,
            thread: thread.thread().id(),
            running: Some(running),
            ended: Mutex::new(ended),
        })
    }

    fn access(&self) -> io::Result<Access> {
        #[cfg(feature = "keys")]
        {
            let has_single_key = self.api_key.is_some() || self.instance_id.is_some();
            #[cfg(feature = "tls")]
            let has_certificate_files = matches!(self.identity, Some(Identity::Files(_)));
            #[cfg(not(feature = "tls"))]
            let has_certificate_files = false;
            if let Some(access) = self.network.access(has_single_key, has_certificate_files)? {
                return Ok(access);
            }
        }
        Ok(Access::Single(SingleKey { api_key: self.api_key.clone(), instance: self.instance_id }))
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
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

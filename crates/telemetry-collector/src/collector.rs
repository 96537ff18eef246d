//! The running collector.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::{self, ThreadId},
    time::Duration,
};

use parking_lot::Mutex;
use telemetry_model::{PredictionQuery, PredictionResponse, TaskCompletionEvent};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    CollectorBuilder, FaultRule, RecordedRequest, ResponseTemplate, Totals, shared::Shared,
    storage::StorageError, store::Store,
};

/// The longest that a stop waits for the collector's thread, which only a callback can block.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running collector: API v1, served by its own thread.
///
/// Every method may be called from any thread, including one that runs a tokio runtime. Dropping
/// the collector stops it as [`stop`](Self::stop) does.
///
/// ```
/// let collector = telemetry_collector::Collector::start()?;
/// assert!(collector.url().starts_with("http://127.0.0.1:"));
/// assert_eq!(collector.stop().requests, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a collector stops when it is dropped"]
pub struct Collector {
    pub(crate) url: String,
    pub(crate) addr: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    pub(crate) thread: ThreadId,
    /// Dropped to stop the thread.
    pub(crate) running: Option<oneshot::Sender<()>>,
    /// Disconnected when the thread has ended. The mutex makes the collector `Sync`.
    pub(crate) ended: Mutex<mpsc::Receiver<()>>,
}

impl Collector {
    /// Starts a collector with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// See [`CollectorBuilder::start`].
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Returns a builder with the defaults: a free port, no API key, any instance, up to 100,000
    /// events.
    pub fn builder() -> CollectorBuilder {
        CollectorBuilder::new()
    }

    /// The server URL for a client, without a slash at the end: `http://127.0.0.1:PORT`, or
    /// `https://…` with TLS.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address that the collector listens on.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate of the CA that issued the server's certificate, in PEM. `None` without TLS and
    /// with certificates from files.
    ///
    /// Each other collector generates its CA at the start and discards the CA's private key.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        Some(&self.shared.tls.as_ref()?.ca.as_ref()?.pem)
    }

    /// The certificate of [`ca_pem`](Self::ca_pem) in DER.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn ca_der(&self) -> Option<&[u8]> {
        Some(&self.shared.tls.as_ref()?.ca.as_ref()?.der)
    }

    /// The current counters.
    ///
    /// With a store, `held` are the events in it, those of earlier runs included.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.shared.read(Store::totals)
    }

    /// The events held, oldest first; with a store all of its events, those of earlier runs included.
    ///
    /// # Panics
    ///
    /// If the store cannot be read. The same holds for [`has_accepted`](Self::has_accepted) and
    /// [`predict`](Self::predict). In memory, none of them panics.
    #[must_use]
    pub fn events(&self) -> Vec<TaskCompletionEvent> {
        readable(self.shared.storage().events())
    }

    /// The last requests, oldest first: at most 1,000, and at most 16 MiB of paths, headers and
    /// bodies.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.read(|store| store.log.to_vec())
    }

    /// Predicts from the events held, as the endpoint does. Blocks while it reads a store.
    ///
    /// # Panics
    ///
    /// If the store cannot be read.
    #[must_use]
    pub fn predict(&self, query: &PredictionQuery) -> PredictionResponse {
        readable(self.shared.predict(query))
    }

    /// Queues templates for the next requests, one each, in order and whatever their path. They
    /// take precedence over fault rules.
    pub fn script(&self, templates: impl IntoIterator<Item = ResponseTemplate>) {
        // Collected without the lock: the iterator may call the collector.
        let templates: Vec<_> = templates.into_iter().collect();
        self.shared.update(|store| store.script.extend(templates));
    }

    /// Adds a fault rule, or a template for all requests.
    ///
    /// The first rule that applies determines the response, in the order in which they were added,
    /// unless the request has a scripted one.
    pub fn fault(&self, rule: impl Into<FaultRule>) {
        let rule = rule.into();
        self.shared.update(|store| store.rules.add(rule));
    }

    /// Removes all fault rules and the rest of the script. Responses that are being sent are not
    /// affected.
    pub fn clear_faults(&self) {
        self.shared.update(|store| {
            store.rules.clear();
            store.script.clear();
        });
    }

    /// Returns true if an event with this id was accepted. The ids of evicted events are subject to
    /// [`CollectorBuilder::remember_ids`]; a store knows the ids of its events, and forgets an id with the event.
    ///
    /// # Panics
    ///
    /// If the store cannot be read.
    #[must_use]
    pub fn has_accepted(&self, event_id: Uuid) -> bool {
        readable(self.shared.storage().contains(&event_id))
    }

    /// Reads the files of keys and certificates again, for the requests and connections from now on.
    ///
    /// # Errors
    ///
    /// A file cannot be read or is invalid; what was read from it before stays in use. Without files there is no
    /// error. The messages are as those of [`CollectorBuilder::start`].
    pub fn reload(&self) -> io::Result<()> {
        self.shared.reload()
    }

    /// Blocks until `reached` holds of the totals, at most for `timeout`. Returns whether it holds.
    ///
    /// `reached` is called at once and after every change of the totals. It may call the collector.
    pub fn wait_for(&self, timeout: Duration, reached: impl FnMut(&Totals) -> bool) -> bool {
        self.shared.wait_for(timeout, reached)
    }

    /// Closes all connections, frees the port, and returns the final totals.
    ///
    /// Blocks until that is done, but at most 5 seconds for a callback that is running. Called by a
    /// callback, it returns at once, and the collector stops when the callback returns.
    pub fn stop(mut self) -> Totals {
        self.shut_down();
        self.totals()
    }

    fn shut_down(&mut self) {
        drop(self.running.take());
        if thread::current().id() != self.thread {
            // Never a message: the result is the disconnection, or a time-out.
            let _ = self.ended.get_mut().recv_timeout(STOP_TIMEOUT);
            #[cfg(feature = "_database")]
            if let Some(stored) = &self.shared.stored {
                stored.stop();
            }
        }
    }
}

/// The methods that read have no error to return, since reading from memory cannot fail.
fn readable<T>(result: Result<T, StorageError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("url", &self.url)
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}

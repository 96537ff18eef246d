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
    store::Store,
};

/// How long stopping waits for the collector's thread. Only a callback that does not return makes it
/// wait at all.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running collector: API v1 on 127.0.0.1, served by a thread of its own.
///
/// Every method may be called from any thread, also from one that runs a tokio runtime. Dropping
/// it stops it as [`stop`](Self::stop) does.
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
    /// Disconnected when the thread has ended.
    pub(crate) ended: Mutex<mpsc::Receiver<()>>,
}

impl Collector {
    /// Starts a collector on a free port that takes events of any instance, with any key or none.
    ///
    /// # Errors
    ///
    /// As for [`CollectorBuilder::start`].
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Starts from the defaults: a free port, any key, any instance, 100,000 events.
    pub fn builder() -> CollectorBuilder {
        CollectorBuilder::new()
    }

    /// What a client is configured with: `http://127.0.0.1:` and the port, no slash at the end. With
    /// TLS, it is `https`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address it listens on.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate, in PEM, of the authority that signed what a collector with TLS shows; none
    /// without TLS. A client is to trust it, where a client can.
    ///
    /// It is made at the start, and its key is not kept.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        Some(&self.shared.tls.as_ref()?.ca_pem)
    }

    /// As [`ca_pem`](Self::ca_pem), in DER.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn ca_der(&self) -> Option<&[u8]> {
        Some(&self.shared.tls.as_ref()?.ca_der)
    }

    /// What has been counted so far. A request is counted before it is answered.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.shared.read(Store::totals)
    }

    /// The events held, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<TaskCompletionEvent> {
        self.shared.read(|store| store.events().cloned().collect())
    }

    /// The last requests, oldest first: at most 1,000, and at most 16 MiB of them.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.read(|store| store.log.to_vec())
    }

    /// Answers one query from the events held, as the endpoint does.
    #[must_use]
    pub fn predict(&self, query: &PredictionQuery) -> PredictionResponse {
        self.shared.predict(query)
    }

    /// Adds to the script: the next requests, to whatever path, get these answers in order. When
    /// the script is at its end, all is as usual again.
    pub fn script(&self, answers: impl IntoIterator<Item = ResponseTemplate>) {
        // Collected first: the iterator may call the collector.
        let answers: Vec<_> = answers.into_iter().collect();
        self.shared.update(|store| store.script.extend(answers));
    }

    /// Adds a fault, or an [`ResponseTemplate`] that every request is to get. A request for which there is a
    /// scripted answer gets that one; else what the fault says that was added first among those
    /// that apply; else all is as usual.
    pub fn fault(&self, fault: impl Into<FaultRule>) {
        let fault = fault.into();
        self.shared.update(|store| store.faults.add(fault));
    }

    /// Forgets all faults and what is left of the script: from now on, all is as usual. What is
    /// under way goes on.
    pub fn clear_faults(&self) {
        self.shared.update(|store| {
            store.faults.clear();
            store.script.clear();
        });
    }

    /// Whether an event with this id was taken. Events that are evicted are known for as long as
    /// their ids are: see [`CollectorBuilder::remember_ids`].
    #[must_use]
    pub fn has_accepted(&self, event_id: Uuid) -> bool {
        self.shared.read(|store| store.has_accepted(&event_id))
    }

    /// Waits until `reached` holds of the totals, at most for `timeout`. Returns whether it does.
    ///
    /// `reached` is called at once and after every change. It may call the collector.
    pub fn wait_for(&self, timeout: Duration, reached: impl FnMut(&Totals) -> bool) -> bool {
        self.shared.wait_for(timeout, reached)
    }

    /// Ends the open connections, answered or not, frees the port, and returns the final totals.
    ///
    /// Waits until that is done. The exception is a callback that is still running: it is waited for
    /// up to 5 seconds, or not at all if it is the caller.
    pub fn stop(mut self) -> Totals {
        self.end();
        self.totals()
    }

    fn end(&mut self) {
        drop(self.running.take());
        if thread::current().id() != self.thread {
            // Nothing is ever sent: the answer is that the other side is gone, or a time-out.
            let _ = self.ended.get_mut().recv_timeout(STOP_TIMEOUT);
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.end();
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

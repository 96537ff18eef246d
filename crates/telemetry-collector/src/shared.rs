//! State shared by the [`Collector`](crate::Collector) and its connections.

#[cfg(feature = "keys")]
use std::sync::Arc;
#[cfg(feature = "_database")]
use std::sync::Weak;
use std::{
    io,
    net::IpAddr,
    time::{Duration, Instant},
};

use http::HeaderMap;
use parking_lot::{Condvar, Mutex};
#[cfg(feature = "keys")]
use telemetry_model::time::OffsetDateTime;
use telemetry_model::{PredictionQuery, PredictionResponse, TaskCompletionEvent};
use tokio::time::timeout;

#[cfg(feature = "keys")]
use crate::limits::ConnectionLimits;
#[cfg(feature = "page")]
use crate::storage::views::Views;
#[cfg(feature = "_database")]
use crate::storage::{
    StoredCounts,
    writer::{Stored, WriterEvents},
};
use crate::{
    BatchReport, InjectedFault, PredictionsReport, RecordedRequest, Refusal, Totals,
    access::{Access, Caller},
    storage::{Storage, StorageError},
    store::Store,
};
#[cfg(feature = "tls")]
use crate::{FailedHandshake, tls::Tls};
#[cfg(feature = "page")]
use crate::{page::Live, store::views::MemoryViews};

type Callback<T> = Option<Box<dyn Fn(&T) + Send + Sync>>;

/// The callbacks that are set; see the methods of [`CollectorBuilder`](crate::CollectorBuilder).
#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) event: Callback<TaskCompletionEvent>,
    pub(crate) batch: Callback<BatchReport>,
    pub(crate) predictions: Callback<PredictionsReport>,
    pub(crate) refusal: Callback<Refusal>,
    pub(crate) request: Callback<RecordedRequest>,
    pub(crate) fault: Callback<InjectedFault>,
    #[cfg(feature = "_database")]
    pub(crate) storage_error: Callback<StorageError>,
    #[cfg(feature = "tls")]
    pub(crate) failed_handshake: Callback<FailedHandshake>,
}

/// The configuration and the store.
///
/// The lock is never held while a callback or a closure of the caller runs: both may call the
/// collector.
pub(crate) struct Shared {
    pub(crate) access: Access,
    pub(crate) callbacks: Callbacks,
    /// `None` for unlimited connections.
    #[cfg(feature = "keys")]
    pub(crate) limits: Option<Arc<ConnectionLimits>>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    /// The database that holds the events instead of `store`.
    #[cfg(feature = "_database")]
    pub(crate) stored: Option<Stored>,
    /// Announces changes to the pages that are open.
    #[cfg(feature = "page")]
    pub(crate) live: Live,
    started: Instant,
    store: Mutex<Store>,
    changed: Condvar,
}

impl Shared {
    pub(crate) fn new(
        access: Access,
        callbacks: Callbacks,
        store: Store,
        #[cfg(feature = "tls")] tls: Option<Tls>,
        #[cfg(feature = "_database")] stored: Option<Stored>,
    ) -> Self {
        Self {
            #[cfg(feature = "keys")]
            limits: access.connection_limits().map(Arc::new),
            access,
            callbacks,
            #[cfg(feature = "tls")]
            tls,
            #[cfg(feature = "_database")]
            stored,
            #[cfg(feature = "page")]
            live: Live::new(unix_millis()),
            started: now(),
            store: Mutex::new(store),
            changed: Condvar::new(),
        }
    }

    /// Counts a request towards its limit. Returns its permissions.
    #[cfg_attr(
        not(feature = "keys"),
        expect(unused_variables, reason = "only keys of a file need it")
    )]
    pub(crate) fn caller(&self, headers: &HeaderMap, peer: IpAddr) -> Caller {
        match &self.access {
            Access::Single(key) => key.caller(headers),
            #[cfg(feature = "keys")]
            Access::Keys(keys) => keys.caller(headers, peer, self.elapsed(), wall_clock()),
        }
    }

    /// True if a request with these headers may see the page and the totals: any without a file of keys, else one
    /// with a valid key as a bearer token or, with any user name, as the password of HTTP Basic.
    #[cfg_attr(
        not(feature = "keys"),
        expect(unused_variables, reason = "only keys of a file need it")
    )]
    pub(crate) fn may_read(&self, headers: &HeaderMap) -> bool {
        match &self.access {
            Access::Single(_) => true,
            #[cfg(feature = "keys")]
            Access::Keys(keys) => keys.may_read(headers, wall_clock()),
        }
    }

    /// True if the page is shown under any host name, because a key protects it.
    #[cfg(feature = "page")]
    pub(crate) const fn trusts_any_host(&self) -> bool {
        !matches!(self.access, Access::Single(_))
    }

    /// See [`Collector::reload`](crate::Collector::reload).
    pub(crate) fn reload(&self) -> io::Result<()> {
        let keys: io::Result<()> = match &self.access {
            Access::Single(_) => Ok(()),
            #[cfg(feature = "keys")]
            Access::Keys(keys) => keys.reload(),
        };
        #[cfg(feature = "tls")]
        let certificates = self.tls.as_ref().map_or(Ok(()), Tls::reload);
        #[cfg(not(feature = "tls"))]
        let certificates: io::Result<()> = Ok(());
        match (keys, certificates) {
            (Err(keys), Err(certificates)) => {
                Err(io::Error::new(keys.kind(), format!("{keys}\n{certificates}")))
            }
            (keys, certificates) => keys.and(certificates),
        }
    }

    /// Awaits a future, for at most this time if connections are limited. `None` when the time is over.
    pub(crate) async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        if self.has_limits() { timeout(limit, future).await.ok() } else { Some(future.await) }
    }

    /// True if connections are limited in number and in time.
    pub(crate) const fn has_limits(&self) -> bool {
        #[cfg(feature = "keys")]
        return self.limits.is_some();
        #[cfg(not(feature = "keys"))]
        false
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.started)
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.store.lock())
    }

    /// Changes the store and wakes the threads in [`wait_for`](Self::wait_for).
    pub(crate) fn update<T>(&self, update: impl FnOnce(&mut Store) -> T) -> T {
        let result = update(&mut self.store.lock());
        self.changed.notify_all();
        result
    }

    /// The events: in memory, or in a database, which blocks.
    pub(crate) fn storage(&self) -> &dyn Storage {
        #[cfg(feature = "_database")]
        if let Some(stored) = &self.stored {
            return &*stored.database;
        }
        &self.store
    }

    /// True if the events are in a database.
    pub(crate) const fn has_database(&self) -> bool {
        #[cfg(feature = "_database")]
        return self.stored.is_some();
        #[cfg(not(feature = "_database"))]
        false
    }

    /// Predicts from the events held. Blocks if they are in a database.
    pub(crate) fn predict(
        &self,
        query: &PredictionQuery,
    ) -> Result<PredictionResponse, StorageError> {
        Ok(self.storage().summary(query)?.response(query))
    }

    /// The views of the events in memory, for one page.
    #[cfg(feature = "page")]
    pub(crate) const fn memory_views(&self) -> MemoryViews<'_> {
        MemoryViews::new(&self.store)
    }

    /// The views of the events: `memory`, or those of a database, which block.
    #[cfg(feature = "page")]
    pub(crate) fn views<'v>(&'v self, memory: &'v MemoryViews<'_>) -> &'v dyn Views {
        #[cfg(feature = "sqlite")]
        if let Some(stored) = &self.stored {
            return &*stored.database;
        }
        memory
    }

    /// The scheme of the collector's URL.
    #[cfg(feature = "page")]
    pub(crate) const fn scheme(&self) -> &'static str {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return "https";
        }
        "http"
    }

    /// Blocks until `reached` holds of the totals, or for `timeout`. Returns whether it holds.
    pub(crate) fn wait_for(
        &self,
        timeout: Duration,
        mut reached: impl FnMut(&Totals) -> bool,
    ) -> bool {
        // None is a time-out beyond the range of the clock.
        let deadline = now().checked_add(timeout);
        let mut totals = self.read(Store::totals);
        while !reached(&totals) {
            let mut store = self.store.lock();
            while store.totals() == totals {
                let Some(deadline) = deadline else {
                    self.changed.wait(&mut store);
                    continue;
                };
                if self.changed.wait_until(&mut store, deadline).timed_out()
                    && store.totals() == totals
                {
                    return false;
                }
            }
            totals = store.totals();
        }
        true
    }
}

#[cfg(feature = "_database")]
impl WriterEvents for Weak<Shared> {
    fn counted(&self, counts: StoredCounts) {
        if let Some(shared) = self.upgrade() {
            shared.update(|store| store.record_counts(counts));
        }
    }

    fn failed(&self, error: &StorageError) {
        if let Some(shared) = self.upgrade()
            && let Some(callback) = &shared.callbacks.storage_error
        {
            callback(error);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "time-outs and records of tests follow the real clock"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(feature = "keys")]
#[expect(clippy::disallowed_methods, reason = "keys are valid from one date to another")]
fn wall_clock() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Milliseconds since the Unix epoch.
#[cfg(feature = "page")]
#[expect(clippy::disallowed_methods, reason = "a page shows when its events were received")]
pub(crate) fn unix_millis() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX))
}

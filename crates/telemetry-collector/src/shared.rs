//! What the handle and the connections have in common.

#[cfg(feature = "tls")]
use std::io;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use telemetry_model::{PredictionQuery, PredictionResponse};
use uuid::Uuid;

use crate::{
    BatchReport, InjectedFault, PredictionsReport, RecordedRequest, Refusal, Totals,
    aggregate::Sample, store::Store,
};
#[cfg(feature = "tls")]
use crate::{Certificate, FailedHandshake, tls::Tls};

type Callback<T> = Option<Box<dyn Fn(&T) + Send + Sync>>;

#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) batch: Callback<BatchReport>,
    pub(crate) predictions: Callback<PredictionsReport>,
    pub(crate) refusal: Callback<Refusal>,
    pub(crate) request: Callback<RecordedRequest>,
    pub(crate) fault: Callback<InjectedFault>,
    #[cfg(feature = "tls")]
    pub(crate) handshake: Callback<FailedHandshake>,
}

/// The configuration and the store. The lock is never held while a callback or a caller's closure
/// runs.
pub(crate) struct Shared {
    pub(crate) api_key: Option<String>,
    pub(crate) instance_id: Option<Uuid>,
    pub(crate) callbacks: Callbacks,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    started: Instant,
    store: Mutex<Store>,
    changed: Condvar,
}

impl Shared {
    pub(crate) fn new(
        api_key: Option<String>,
        instance_id: Option<Uuid>,
        callbacks: Callbacks,
        store: Store,
    ) -> Self {
        let store = Mutex::new(store);
        Self {
            api_key,
            instance_id,
            callbacks,
            #[cfg(feature = "tls")]
            tls: None,
            started: now(),
            store,
            changed: Condvar::new(),
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(self, certificate: Option<Certificate>) -> io::Result<Self> {
        Ok(Self { tls: certificate.map(Tls::new).transpose()?, ..self })
    }

    #[cfg(feature = "tls")]
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "with the feature `tls`, it decides")]
    pub(crate) const fn scheme(&self) -> &'static str {
        "http"
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.started)
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.store.lock())
    }

    pub(crate) fn update<T>(&self, update: impl FnOnce(&mut Store) -> T) -> T {
        let result = update(&mut self.store.lock());
        self.changed.notify_all();
        result
    }

    pub(crate) fn predict(&self, query: &PredictionQuery) -> PredictionResponse {
        // Sorting, the long part, is done without the lock.
        let sample = self.read(|store| Sample::gather(store.events(), query));
        sample.response(query)
    }

    pub(crate) fn wait_for(
        &self,
        timeout: Duration,
        mut reached: impl FnMut(&Totals) -> bool,
    ) -> bool {
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

#[expect(
    clippy::disallowed_methods,
    reason = "time-outs and records of tests are those of the real clock"
)]
fn now() -> Instant {
    Instant::now()
}

//! State shared by the [`Collector`](crate::Collector) and its connections.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use telemetry_model::{PredictionQuery, PredictionResponse, TaskCompletionEvent};
use uuid::Uuid;

use crate::{
    BatchReport, InjectedFault, PredictionsReport, RecordedRequest, Refusal, Totals,
    aggregate::Sample, store::Store,
};
#[cfg(feature = "tls")]
use crate::{FailedHandshake, tls::Tls};

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
    #[cfg(feature = "tls")]
    pub(crate) failed_handshake: Callback<FailedHandshake>,
}

/// The configuration and the store.
///
/// The lock is never held while a callback or a closure of the caller runs: both may call the
/// collector.
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
        #[cfg(feature = "tls")] tls: Option<Tls>,
    ) -> Self {
        Self {
            api_key,
            instance_id,
            callbacks,
            #[cfg(feature = "tls")]
            tls,
            started: now(),
            store: Mutex::new(store),
            changed: Condvar::new(),
        }
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

    /// Predicts from the events held.
    pub(crate) fn predict(&self, query: &PredictionQuery) -> PredictionResponse {
        // Sorting, the slow part, happens without the lock.
        let sample = self.read(|store| Sample::gather(store.events(), query));
        sample.response(query)
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

#[expect(
    clippy::disallowed_methods,
    reason = "time-outs and records of tests follow the real clock"
)]
fn now() -> Instant {
    Instant::now()
}

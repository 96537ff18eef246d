//! Accepted events, the ids of evicted ones, counters, the request log, the script and the rules.

#[cfg(feature = "page")]
pub(crate) mod views;

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use telemetry_model::{BatchReceipt, EventResult, PredictionQuery, TaskCompletionEvent};
use uuid::Uuid;

#[cfg(feature = "_database")]
use crate::storage::StoredCounts;
use crate::{
    BatchReport, RecordedRequest, ResponseTemplate, Totals,
    aggregate::{Sample, Summary},
    fault::{ConnectionFault, FaultRules},
    requests::RequestLog,
    storage::{Storage, StorageError},
};

/// An event of a batch, or the errors of its validation.
pub(crate) type Parsed = Result<TaskCompletionEvent, telemetry_model::ValidationErrors>;

/// The state of a collector.
///
/// Invariant: `accepted_ids` holds the ids of `events` and of `evicted_ids`, and no others.
#[derive(Debug)]
pub(crate) struct Store {
    /// Shared with the views, which read them without the lock.
    events: VecDeque<Arc<TaskCompletionEvent>>,
    max_events: usize,
    accepted_ids: HashSet<Uuid>,
    evicted_ids: VecDeque<Uuid>,
    max_evicted_ids: usize,
    totals: Totals,
    #[cfg(feature = "page")]
    pub(crate) history: views::History,
    pub(crate) log: RequestLog,
    pub(crate) script: VecDeque<ResponseTemplate>,
    pub(crate) rules: FaultRules,
}

impl Store {
    /// Holds up to `max_events`, and the ids of up to `max_evicted_ids` others.
    pub(crate) fn new(max_events: usize, max_evicted_ids: usize) -> Self {
        Self {
            events: VecDeque::new(),
            max_events,
            accepted_ids: HashSet::new(),
            evicted_ids: VecDeque::new(),
            max_evicted_ids,
            totals: Totals::default(),
            #[cfg(feature = "page")]
            history: views::History::default(),
            log: RequestLog::default(),
            script: VecDeque::new(),
            rules: FaultRules::default(),
        }
    }

    pub(crate) const fn totals(&self) -> Totals {
        self.totals
    }

    /// The events held, oldest first.
    pub(crate) fn events(&self) -> impl Iterator<Item = &TaskCompletionEvent> {
        self.events.iter().map(|event| &**event)
    }

    /// True if an event with this id was accepted, as far as ids are remembered.
    pub(crate) fn has_accepted(&self, id: &Uuid) -> bool {
        self.accepted_ids.contains(id)
    }

    /// Counts a connection. Returns its number, and the fault to inject.
    pub(crate) fn record_connection(&mut self) -> (u64, Option<ConnectionFault>) {
        self.totals.connections += 1;
        let fault = self.rules.on_connection();
        self.totals.faulted += u64::from(fault.is_some());
        (self.totals.connections, fault)
    }

    #[cfg(feature = "keys")]
    pub(crate) const fn record_refused_connection(&mut self) {
        self.totals.refused_connections += 1;
    }

    #[cfg(feature = "tls")]
    pub(crate) const fn record_failed_handshake(&mut self) {
        self.totals.failed_handshakes += 1;
    }

    /// Counts a request, and logs it if `is_logged`. Returns the template of its response.
    pub(crate) fn record_request(
        &mut self,
        request: RecordedRequest,
        is_logged: bool,
    ) -> ResponseTemplate {
        self.totals.requests += 1;
        // Asked even if the script comes first, because rules count all their candidates.
        let path = request.path.split('?').next().unwrap_or_default();
        let injected = self.rules.on_request(path);
        let scripted = self.script.pop_front();
        let template = scripted.or(injected).unwrap_or_else(ResponseTemplate::normal);
        self.totals.faulted += u64::from(!template.is_unchanged());
        if is_logged {
            self.log.push(request);
        }
        template
    }

    pub(crate) const fn record_refusal(&mut self) {
        self.totals.refused += 1;
    }

    /// Accepts the events that are valid, new, and of one of `instances` unless there are none.
    pub(crate) fn record_batch(&mut self, batch: Vec<Parsed>, instances: &[Uuid]) -> BatchReport {
        let checked = CheckedBatch::new(batch, instances);
        let accepted = self.totals.accepted;
        for event in checked.events {
            if self.accepted_ids.insert(event.event_id) {
                self.totals.accepted += 1;
                self.hold(event);
            }
        }
        self.report(checked.results, self.totals.accepted - accepted)
    }

    /// Counts a batch that a database has stored.
    #[cfg(feature = "_database")]
    pub(crate) fn record_stored(
        &mut self,
        results: Vec<EventResult>,
        accepted: u64,
    ) -> BatchReport {
        self.totals.accepted += accepted;
        self.report(results, accepted)
    }

    /// Takes over the number of events that a database holds.
    #[cfg(feature = "_database")]
    pub(crate) const fn record_counts(&mut self, counts: StoredCounts) {
        self.totals.held = counts.held;
        self.totals.evicted = counts.removed;
    }

    /// Counts a batch whose new events were counted and stored.
    fn report(&mut self, results: Vec<EventResult>, accepted: u64) -> BatchReport {
        let events = results.len() as u64;
        let receipt = BatchReceipt::new(results);
        let rejected = receipt.rejected.unwrap_or_default();
        let duplicates = events - rejected - accepted;
        self.totals.batches += 1;
        self.totals.received += events;
        self.totals.rejected += rejected;
        self.totals.duplicates += duplicates;
        BatchReport {
            number: self.totals.batches,
            events,
            accepted,
            duplicates,
            rejected,
            receipt,
            totals: self.totals,
        }
    }

    /// The last `count` events that are held, oldest first.
    pub(crate) fn newest(&self, count: u64) -> Vec<TaskCompletionEvent> {
        let held = self.events.len();
        let count = usize::try_from(count).unwrap_or(held);
        self.events().skip(held.saturating_sub(count)).cloned().collect()
    }

    /// Holds an event; evicts the oldest event and the oldest id above the limits.
    fn hold(&mut self, event: TaskCompletionEvent) {
        self.events.push_back(Arc::new(event));
        if self.events.len() > self.max_events
            && let Some(oldest) = self.events.pop_front()
        {
            self.totals.evicted += 1;
            self.evicted_ids.push_back(oldest.event_id);
        }
        if self.evicted_ids.len() > self.max_evicted_ids
            && let Some(id) = self.evicted_ids.pop_front()
        {
            self.accepted_ids.remove(&id);
        }
        self.totals.held = self.events.len() as u64;
    }
}

impl Storage for Mutex<Store> {
    fn events(&self) -> Result<Vec<TaskCompletionEvent>, StorageError> {
        Ok(self.lock().events().cloned().collect())
    }

    fn contains(&self, event_id: &Uuid) -> Result<bool, StorageError> {
        Ok(self.lock().has_accepted(event_id))
    }

    fn summary(&self, query: &PredictionQuery) -> Result<Summary, StorageError> {
        let sample = Sample::gather(self.lock().events(), query);
        // Without the lock.
        Ok(sample.summary())
    }
}

/// A batch after the checks of its events.
#[derive(Debug, Default)]
pub(crate) struct CheckedBatch {
    /// The valid events, in order; some may be duplicates.
    pub(crate) events: Vec<TaskCompletionEvent>,
    /// A result for each event of the batch, in order.
    pub(crate) results: Vec<EventResult>,
}

impl CheckedBatch {
    /// Rejects the events that are invalid, or of none of `instances` unless there are none.
    pub(crate) fn new(batch: Vec<Parsed>, instances: &[Uuid]) -> Self {
        let mut checked = Self::default();
        for (index, event) in batch.into_iter().enumerate() {
            checked.results.push(match event {
                Err(errors) => EventResult::rejected(errors.event_id(), errors.to_string()),
                Ok(event) if instances.is_empty() || instances.contains(&event.instance_id) => {
                    let id = event.event_id;
                    checked.events.push(event);
                    EventResult::accepted(id)
                }
                Ok(event) => {
                    let expected = match instances {
                        [instance] => format!("{instance}, the instance of this key"),
                        _ => "an instance of this key".to_owned(),
                    };
                    let found = event.instance_id;
                    let error =
                        format!("/events/{index}/instance_id: expected {expected}, found {found}");
                    EventResult::rejected(Some(event.event_id), error)
                }
            });
        }
        checked
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use telemetry_model::EventBuilder;

    use super::*;

    fn event(id: u128) -> Parsed {
        Ok(EventBuilder::new(Uuid::from_u128(9)).event_id(Uuid::from_u128(id)).build())
    }

    fn ids(store: &Store) -> Vec<u128> {
        store.events().map(|event| event.event_id.as_u128()).collect()
    }

    #[test]
    fn repeated_event_is_accepted_once() {
        let mut store = Store::new(10, 10);
        let report = store.record_batch(vec![event(1), event(2), event(1)], &[]);
        assert_eq!((report.accepted, report.duplicates, report.rejected), (2, 1, 0));
        assert_eq!((report.receipt.accepted, report.receipt.rejected), (Some(3), Some(0)));
        let report = store.record_batch(vec![event(2), event(3)], &[]);
        assert_eq!((report.number, report.accepted, report.duplicates), (2, 1, 1));
        assert_eq!(ids(&store), [1, 2, 3]);
    }

    #[test]
    fn oldest_event_is_evicted_first_and_its_id_remembered() {
        let mut store = Store::new(2, 2);
        store.record_batch((1..=4).map(event).collect(), &[]);
        assert_eq!(ids(&store), [3, 4]);
        assert_eq!((store.totals.held, store.totals.evicted), (2, 2));
        assert_eq!(store.record_batch(vec![event(1), event(2)], &[]).duplicates, 2);
        // Ids are bounded as well: that of 1 is dropped when 3 is evicted.
        store.record_batch(vec![event(5)], &[]);
        let known: Vec<_> =
            (1..=5).filter(|id| store.has_accepted(&Uuid::from_u128(*id))).collect();
        assert_eq!(known, [2, 3, 4, 5]);
        assert_eq!(store.record_batch(vec![event(1)], &[]).accepted, 1);
    }

    #[test]
    fn event_of_another_instance_is_rejected_and_its_id_stays_unused() {
        let mut store = Store::new(2, 2);
        let [right, wrong, other] = [9, 8, 7].map(Uuid::from_u128);
        let report = store.record_batch(vec![event(2)], &[wrong]);
        let error = report.receipt.results[0].error.as_deref().unwrap();
        assert!(error.starts_with("/events/0/instance_id: expected 00000000-"), "{error}");
        let report = store.record_batch(vec![event(1), event(2)], &[wrong, other]);
        let error = report.receipt.results[1].error.as_deref().unwrap();
        assert!(error.starts_with("/events/1/instance_id: expected an instance of "), "{error}");
        assert_eq!(store.record_batch(vec![event(2)], &[wrong, right]).accepted, 1);
    }

    proptest! {
        #[test]
        fn counters_add_up_and_memory_is_bounded(
            batches in vec(vec(0..20u128, 0..10), 0..20),
            max_events in 0..8usize,
            max_evicted_ids in 0..8usize,
        ) {
            let mut store = Store::new(max_events, max_evicted_ids);
            for batch in batches {
                // 0 stands for an invalid event.
                let parsed = |id| if id == 0 { TaskCompletionEvent::from_json(b"{}") } else { event(id) };
                store.record_batch(batch.into_iter().map(parsed).collect(), &[]);
                let totals = store.totals;
                let sum = totals.accepted + totals.duplicates + totals.rejected;
                prop_assert_eq!(totals.received, sum);
                prop_assert_eq!(totals.accepted, totals.held + totals.evicted);
                prop_assert_eq!(totals.held, store.events.len() as u64);
                prop_assert!(store.events.len() <= max_events);
                prop_assert_eq!(
                    store.accepted_ids.len(),
                    store.events.len() + store.evicted_ids.len()
                );
                prop_assert!(store.evicted_ids.len() <= max_evicted_ids);
            }
        }
    }
}

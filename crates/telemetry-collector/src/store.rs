//! What the collector keeps: events, the ids that were taken, counts, and the request log.

use std::collections::{HashSet, VecDeque};

use telemetry_model::{BatchReceipt, EventResult, TaskCompletionEvent};
use uuid::Uuid;

use crate::{
    BatchReport, RecordedRequest, ResponseTemplate, Totals,
    fault::{ConnectionFault, FaultRules},
    requests::RequestLog,
};

#[derive(Debug)]
pub(crate) struct Store {
    events: VecDeque<TaskCompletionEvent>,
    max_events: usize,
    /// The ids of the events held and of the last ones evicted.
    taken: HashSet<Uuid>,
    evicted: VecDeque<Uuid>,
    max_evicted_ids: usize,
    totals: Totals,
    pub(crate) log: RequestLog,
    pub(crate) script: VecDeque<ResponseTemplate>,
    pub(crate) faults: FaultRules,
}

impl Store {
    /// Holds at most `max_events`, and the ids of at most `max_evicted_ids` others.
    pub(crate) fn new(max_events: usize, max_evicted_ids: usize) -> Self {
        Self {
            events: VecDeque::new(),
            max_events,
            taken: HashSet::new(),
            evicted: VecDeque::new(),
            max_evicted_ids,
            totals: Totals::default(),
            log: RequestLog::default(),
            script: VecDeque::new(),
            faults: FaultRules::default(),
        }
    }

    pub(crate) const fn totals(&self) -> Totals {
        self.totals
    }

    /// The events held, oldest first.
    pub(crate) fn events(&self) -> impl Iterator<Item = &TaskCompletionEvent> {
        self.events.iter()
    }

    /// Whether an event with this id was taken, as far as ids are known.
    pub(crate) fn has_accepted(&self, id: &Uuid) -> bool {
        self.taken.contains(id)
    }

    /// Books a connection: its number, and what is to happen to it.
    pub(crate) fn connected(&mut self) -> (u64, Option<ConnectionFault>) {
        self.totals.connections += 1;
        let fault = self.faults.connection();
        self.totals.faulted += u64::from(fault.is_some());
        (self.totals.connections, fault)
    }

    #[cfg(feature = "tls")]
    pub(crate) const fn handshake_failed(&mut self) {
        self.totals.failed_handshakes += 1;
    }

    /// Books a request: what is to happen to it.
    pub(crate) fn arrived(&mut self, request: RecordedRequest) -> ResponseTemplate {
        self.totals.requests += 1;
        // The faults count it even if the script comes first.
        let path = request.path.split('?').next().unwrap_or_default();
        let fault = self.faults.request(path);
        let answer = self.script.pop_front().or(fault).unwrap_or_else(ResponseTemplate::normal);
        self.totals.faulted += u64::from(!answer.is_usual());
        self.log.push(request);
        answer
    }

    pub(crate) const fn refused(&mut self) {
        self.totals.refused += 1;
    }

    /// Takes what can be taken of a batch: events that are well-formed, of `instance` if one is
    /// given, and new.
    pub(crate) fn take(
        &mut self,
        batch: Vec<Result<TaskCompletionEvent, telemetry_model::ValidationErrors>>,
        instance: Option<Uuid>,
    ) -> BatchReport {
        let before = self.totals;
        let events = batch.into_iter().enumerate();
        let results = events.map(|(index, event)| self.take_one(index, event, instance)).collect();
        self.totals.batches += 1;
        let totals = self.totals;
        BatchReport {
            number: totals.batches,
            events: totals.received - before.received,
            accepted: totals.accepted - before.accepted,
            duplicates: totals.duplicates - before.duplicates,
            rejected: totals.rejected - before.rejected,
            receipt: BatchReceipt::new(results),
            totals,
        }
    }

    fn take_one(
        &mut self,
        index: usize,
        event: Result<TaskCompletionEvent, telemetry_model::ValidationErrors>,
        instance: Option<Uuid>,
    ) -> EventResult {
        self.totals.received += 1;
        let event = match event {
            Ok(event) => event,
            Err(faults) => {
                self.totals.rejected += 1;
                return EventResult::rejected(faults.event_id(), faults.to_string());
            }
        };
        let (id, found) = (event.event_id, event.instance_id);
        if let Some(expected) = instance.filter(|expected| *expected != found) {
            self.totals.rejected += 1;
            let error = format!(
                "/events/{index}/instance_id: expected {expected}, the instance of this key, \
                 found {found}"
            );
            return EventResult::rejected(Some(id), error);
        }
        if self.taken.insert(id) {
            self.totals.accepted += 1;
            self.hold(event);
        } else {
            self.totals.duplicates += 1;
        }
        EventResult::accepted(id)
    }

    fn hold(&mut self, event: TaskCompletionEvent) {
        self.events.push_back(event);
        if self.events.len() > self.max_events
            && let Some(oldest) = self.events.pop_front()
        {
            self.totals.evicted += 1;
            self.evicted.push_back(oldest.event_id);
        }
        if self.evicted.len() > self.max_evicted_ids
            && let Some(id) = self.evicted.pop_front()
        {
            self.taken.remove(&id);
        }
        self.totals.held = self.events.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use telemetry_model::EventBuilder;

    use super::*;

    fn event(id: u128) -> Result<TaskCompletionEvent, telemetry_model::ValidationErrors> {
        Ok(EventBuilder::new(Uuid::from_u128(9)).event_id(Uuid::from_u128(id)).build())
    }

    fn ids(store: &Store) -> Vec<u128> {
        store.events().map(|event| event.event_id.as_u128()).collect()
    }

    #[test]
    fn an_event_is_taken_once() {
        let mut store = Store::new(10, 10);
        let seen = store.take(vec![event(1), event(2), event(1)], None);
        assert_eq!((seen.accepted, seen.duplicates, seen.rejected), (2, 1, 0));
        assert_eq!((seen.receipt.accepted, seen.receipt.rejected), (3, 0));
        let seen = store.take(vec![event(2), event(3)], None);
        assert_eq!((seen.number, seen.accepted, seen.duplicates), (2, 1, 1));
        assert_eq!(ids(&store), [1, 2, 3]);
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_not_taken_again() {
        let mut store = Store::new(2, 2);
        store.take((1..=4).map(event).collect(), None);
        assert_eq!(ids(&store), [3, 4]);
        assert_eq!((store.totals.held, store.totals.evicted), (2, 2));
        assert_eq!(store.take(vec![event(1), event(2)], None).duplicates, 2);
        // The memory for evicted ids is bounded as well: 1 gives way when 3 is evicted.
        store.take(vec![event(5)], None);
        let known: Vec<_> =
            (1..=5).filter(|id| store.has_accepted(&Uuid::from_u128(*id))).collect();
        assert_eq!(known, [2, 3, 4, 5]);
        assert_eq!(store.take(vec![event(1)], None).accepted, 1);
    }

    #[test]
    fn events_of_another_instance_are_rejected() {
        let mut store = Store::new(2, 2);
        let (right, wrong) = (Some(Uuid::from_u128(9)), Some(Uuid::from_u128(8)));
        assert_eq!(store.take(vec![event(1)], right).accepted, 1);
        let seen = store.take(vec![event(2)], wrong);
        let error = seen.receipt.results[0].error.as_deref().unwrap();
        assert!(error.starts_with("/events/0/instance_id: expected 00000000-"), "{error}");
        // Its id has not been used up.
        assert_eq!(store.take(vec![event(2)], right).accepted, 1);
    }

    proptest! {
        #[test]
        fn the_books_close_and_memory_is_bounded(
            batches in vec(vec(0..20u128, 0..10), 0..20),
            max in 0..8usize,
            remembered in 0..8usize,
        ) {
            let mut store = Store::new(max, remembered);
            for batch in batches {
                // Id 0 stands for a faulty event.
                let faulty = || TaskCompletionEvent::from_json(b"{}");
                let batch =
                    batch.into_iter().map(|id| if id == 0 { faulty() } else { event(id) });
                store.take(batch.collect(), None);
                let totals = store.totals;
                let booked = totals.accepted + totals.duplicates + totals.rejected;
                prop_assert_eq!(totals.received, booked);
                prop_assert_eq!(totals.accepted, totals.held + totals.evicted);
                prop_assert_eq!(totals.held, store.events.len() as u64);
                prop_assert!(store.events.len() <= max);
                prop_assert_eq!(store.taken.len(), store.events.len() + store.evicted.len());
                prop_assert!(store.evicted.len() <= remembered);
            }
        }
    }
}

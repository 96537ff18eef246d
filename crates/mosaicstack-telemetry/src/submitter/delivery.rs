//! A batch under way.

use std::{collections::HashMap, fmt, sync::Arc};

use telemetry_model::{BatchReceipt, EventResult, TaskCompletionEvent};
use telemetry_queue::Batch;
use uuid::Uuid;

use crate::{
    outbox::{Event, Outbox},
    stats::{Counter, Counters},
};

/// The events of one request, on loan from the queue until its result is known.
///
/// [`Submitter::complete`](super::Submitter::complete) consumes it, so an outcome cannot be
/// reported twice, nor without a request. Dropped, by a panic say, it puts its events back.
#[must_use = "dropping it gives the attempt up"]
pub struct Delivery {
    /// None once the outcome is booked.
    batch: Option<Batch<Event>>,
    outbox: Arc<Outbox>,
}

impl Delivery {
    pub(super) const fn new(batch: Batch<Event>, outbox: Arc<Outbox>) -> Self {
        Self { batch: Some(batch), outbox }
    }

    /// How many events are under way; at least one.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.batch.as_ref().map_or(0, |batch| batch.len())
    }

    /// The events, in order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = &TaskCompletionEvent> {
        self.batch().iter().map(|event| &**event)
    }

    pub(super) fn batch(&self) -> &[Event] {
        self.batch.as_deref().unwrap_or_default()
    }

    /// The event, if it is alone.
    pub(super) fn single(&self) -> Option<&TaskCompletionEvent> {
        if let [event] = self.batch() { Some(event) } else { None }
    }

    /// Books the batch as taken, but for the events that the receipt rejects; returns what it says
    /// of each of those, if it does.
    pub(super) fn accepted(mut self, receipt: &BatchReceipt) -> Vec<Option<&EventResult>> {
        let Some(batch) = self.batch.take() else { return Vec::new() };
        let (count, rejected) = (batch.len(), rejected(&batch, receipt));
        let other = (&self.outbox.counters.rejected, rejected.len());
        self.outbox.commit(batch, count - rejected.len(), other);
        rejected
    }

    /// Books the batch as refused for good.
    pub(super) fn rejected(self) {
        self.book(|counters| &counters.rejected);
    }

    /// Books the batch as not sent, in a dry run.
    pub(super) fn skipped(self) {
        self.book(|counters| &counters.dry_run);
    }

    fn book(mut self, counter: impl FnOnce(&Counters) -> &Counter) {
        if let Some(batch) = self.batch.take() {
            let count = batch.len();
            self.outbox.commit(batch, 0, (counter(&self.outbox.counters), count));
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.outbox.release(batch);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Which events of the batch the receipt rejects: those that it names, or as many as it says if that
/// is more; never more than there are. What it says of events that are not in the batch, or says
/// again, is of no other event.
fn rejected<'a>(batch: &[Event], receipt: &'a BatchReceipt) -> Vec<Option<&'a EventResult>> {
    let results = || receipt.results.iter().filter(|result| result.is_rejected());
    let mut named: HashMap<Uuid, &EventResult> = HashMap::new();
    for result in results() {
        if let Some(id) = result.event_id {
            named.entry(id).or_insert(result);
        }
    }
    let found = batch.iter().filter_map(|event| named.get(&event.event_id).copied());
    let unnamed = results().filter(|result| result.event_id.is_none());
    let mut rejected: Vec<_> = found.chain(unnamed).take(batch.len()).map(Some).collect();
    let said = usize::try_from(receipt.rejected).unwrap_or(usize::MAX).min(batch.len());
    rejected.resize(said.max(rejected.len()), None);
    rejected
}

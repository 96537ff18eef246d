//! A batch under way.

use std::{collections::HashSet, fmt, sync::Arc};

use telemetry_model::{BatchReceipt, TaskCompletionEvent};
use telemetry_queue::Batch;
use uuid::Uuid;

use crate::outbox::{Event, Outbox};

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
        self.batch.as_deref().unwrap_or_default().iter().map(|event| &**event)
    }

    /// The event, if it is alone.
    pub(super) fn single(&self) -> Option<&TaskCompletionEvent> {
        match self.batch.as_deref() {
            Some([event]) => Some(event),
            _ => None,
        }
    }

    /// Books the batch as taken, but for the events that the receipt rejects.
    pub(super) fn accepted(mut self, receipt: &BatchReceipt) {
        let Some(batch) = self.batch.take() else { return };
        let (count, rejected) = (batch.len(), rejected(&batch, receipt));
        let other = (&self.outbox.counters.rejected, rejected);
        self.outbox.commit(batch, count - rejected, other);
    }

    /// Books the batch as refused for good.
    pub(super) fn rejected(mut self) {
        if let Some(batch) = self.batch.take() {
            let count = batch.len();
            self.outbox.commit(batch, 0, (&self.outbox.counters.rejected, count));
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

/// How many events of the batch the receipt rejects. By name, if it names any; each once, and
/// never more than there are.
fn rejected(batch: &[Event], receipt: &BatchReceipt) -> usize {
    if receipt.results.iter().all(|result| result.event_id.is_none()) {
        let unnamed = receipt.results.iter().filter(|result| result.is_rejected()).count();
        let counted = usize::try_from(receipt.rejected).unwrap_or(usize::MAX);
        return counted.max(unnamed).min(batch.len());
    }
    let named: HashSet<Uuid> = receipt
        .results
        .iter()
        .filter(|result| result.is_rejected())
        .filter_map(|result| result.event_id)
        .collect();
    batch.iter().filter(|event| named.contains(&event.event_id)).count()
}

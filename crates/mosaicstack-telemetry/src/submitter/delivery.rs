//! A batch of events in flight.

use std::{collections::HashMap, fmt, sync::Arc};

use telemetry_model::{BatchReceipt, EventResult, TaskCompletionEvent};
use telemetry_queue::Batch;
use telemetry_transport::bytes::Bytes;
use uuid::Uuid;

use super::bisection::Bisection;
use crate::{
    event_buffer::{Event, EventBuffer},
    protocol,
    stats::{Counter, Counters},
};

/// The events of one request, in flight until its result is known.
///
/// [`Submitter::complete`](super::Submitter::complete) consumes it, so a result cannot be reported
/// twice, or without a request. Dropping it (during a panic, for example) returns its events to
/// their place in the queue: a lost answer, a failure and a panic take the same path.
#[must_use = "dropping it gives up the attempt"]
pub struct Delivery {
    /// `None` once the outcome is counted.
    batch: Option<Batch<Event>>,
    /// The number of events at the start of the batch that the request does not contain.
    skipped: usize,
    buffer: Arc<EventBuffer>,
}

impl Delivery {
    /// Takes the events of the next request, or the oldest one if it was accepted as a probe.
    pub(super) fn take(buffer: &Arc<EventBuffer>, bisection: &mut Bisection) -> Option<Self> {
        loop {
            let first = buffer.acknowledged();
            let (skipped, max) = bisection.range(first);
            let batch = buffer.take_batch(skipped.saturating_add(max))?;
            let delivery = Self { batch: Some(batch), skipped, buffer: Arc::clone(buffer) };
            if bisection.has_position() && buffer.acknowledged() != first {
                // The oldest event was evicted in between, so that another one is at the position.
                drop(delivery);
            } else if delivery.batch().is_empty() {
                bisection.restart();
            } else {
                return Some(delivery);
            }
        }
    }

    /// The number of events, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.batch().len()
    }

    /// The events, in order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = &TaskCompletionEvent> {
        self.batch().iter().map(|event| &**event)
    }

    pub(super) fn batch(&self) -> &[Event] {
        self.batch.as_deref().and_then(|batch| batch.get(self.skipped..)).unwrap_or_default()
    }

    /// The body of the request.
    pub(super) fn body(&self) -> Bytes {
        #[cfg(feature = "spool")]
        if let Some(body) = self.buffer.encoded(self.position(), self.len()) {
            return body;
        }
        protocol::body(self.batch())
    }

    /// True if older events stay in the queue.
    pub(super) const fn is_probe(&self) -> bool {
        self.skipped > 0
    }

    /// The sequence number of the first event.
    pub(super) fn position(&self) -> u64 {
        // While a batch is in flight, its first event is the oldest of the queue.
        self.buffer.acknowledged() + self.skipped as u64
    }

    /// The event, if it is the only one.
    pub(super) fn single(&self) -> Option<&TaskCompletionEvent> {
        if let [event] = self.batch() { Some(event) } else { None }
    }

    /// True if the receipt accepts none of the events.
    pub(super) fn is_refused_by(&self, receipt: &BatchReceipt) -> bool {
        let others = || receipt.results.iter().any(|result| !result.is_rejected());
        rejected(self.batch(), receipt).len() == self.len()
            || (receipt.accepted == Some(0) && !others())
    }

    /// Counts the batch as delivered, except for the events that the receipt rejects. Returns the
    /// receipt's result for each of those, where it has one.
    pub(super) fn accept(mut self, receipt: &BatchReceipt) -> Vec<Option<&EventResult>> {
        let Some(batch) = self.batch.take() else { return Vec::new() };
        let (count, rejected) = (batch.len(), rejected(&batch, receipt));
        let other = (&self.buffer.counters.rejected, rejected.len());
        self.buffer.commit(batch, count - rejected.len(), other);
        rejected
    }

    /// Counts the batch as rejected.
    pub(super) fn reject(self) {
        self.commit(|counters| &counters.rejected);
    }

    /// Counts the batch as not sent, in a dry run.
    pub(super) fn skip(self) {
        self.commit(|counters| &counters.dry_run);
    }

    fn commit(mut self, counter: impl FnOnce(&Counters) -> &Counter) {
        if let Some(batch) = self.batch.take() {
            let count = batch.len();
            self.buffer.commit(batch, 0, (counter(&self.buffer.counters), count));
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.buffer.release(batch);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The rejected events of a batch: those that the receipt names, or as many as it counts if that is
/// more, but never more than there are. Results for unknown events, and repeated ones, are ignored.
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
    let counted =
        usize::try_from(receipt.rejected.unwrap_or(0)).unwrap_or(usize::MAX).min(batch.len());
    rejected.resize(counted.max(rejected.len()), None);
    rejected
}

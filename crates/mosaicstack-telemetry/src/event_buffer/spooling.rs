//! The buffer of a client with a spool, whose writer reads the queue.

use std::sync::Arc;

use telemetry_queue::Batch;
use telemetry_spool::Spool;
use telemetry_transport::bytes::Bytes;

use super::{Event, EventBuffer, backlog::Backlog};
use crate::{config::TelemetryConfig, protocol::Json, stats::Stats, sync::Ordering};

impl EventBuffer {
    /// A buffer whose queue is read by a [`SpoolWriter`](crate::spool_writer::SpoolWriter), which `wake` wakes.
    pub(crate) fn with_backlog(
        config: &TelemetryConfig,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let buffer = Self::new(config, wake);
        let backlog = Backlog::new(config.max_queue_size, buffer.wake_at);
        Self { backlog: Some(backlog), wake_at: Some(1), ..buffer }
    }

    pub(crate) const fn backlog(&self) -> Option<&Backlog> {
        self.backlog.as_ref()
    }

    /// Takes up to `max` of the oldest tracked events.
    pub(crate) fn take_tracked(&self, max: usize) -> Option<Batch<Event>> {
        self.queue.as_ref()?.peek_batch(max)
    }

    /// Makes `track` wake the writer again. Returns true if there are tracked events to take.
    pub(crate) fn rearm_writer(&self) -> bool {
        self.rearm();
        self.has_tracked()
    }

    pub(crate) fn has_tracked(&self) -> bool {
        self.tracked_len() > 0
    }

    /// True if the queue of tracked events is half full.
    pub(crate) fn is_filling(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.len() * 2 >= queue.capacity())
    }

    /// True if tracked events are to be passed on at once: a flush waits, or the client has been shut down.
    pub(crate) fn is_urgent(&self) -> bool {
        self.is_closed() || self.flush_targets.lock().is_any()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Passes tracked events on to the submitter, with their JSON. There has to be [`room`](Backlog::room).
    pub(crate) fn pass_on(&self, batch: Batch<Event>, json: Arc<Json>) {
        let Some(backlog) = &self.backlog else { return };
        let (first, len) = (batch.first(), batch.len());
        backlog.announce(first, json);
        self.flush_targets.lock().add(first, len as u64);
        backlog.push(batch.commit());
    }

    /// Leaves tracked events to the spool: the first ones, `stored` of them, which are in it. The others stay in the
    /// queue.
    pub(crate) fn leave_to_spool(&self, mut batch: Batch<Event>, stored: usize) {
        self.set_news();
        let end = batch.first() + stored as u64;
        loop {
            // Lower at each turn: events can be evicted while they are back in the queue.
            let stored = end.saturating_sub(batch.first());
            if batch.len() as u64 <= stored {
                break;
            }
            self.release(batch);
            match self.take_tracked(usize::try_from(stored).unwrap_or(usize::MAX)) {
                Some(next) => batch = next,
                None => return,
            }
        }
        let (first, len) = (batch.first(), batch.len());
        self.counters.stored.add(len);
        let mut targets = self.flush_targets.lock();
        targets.add(first, len as u64);
        targets.store(first, len as u64);
        drop(targets);
        drop(batch.commit());
    }

    /// Passes events that were read from the spool on to the submitter.
    pub(crate) fn recover(&self, events: Vec<Event>, json: Json) {
        let Some(backlog) = &self.backlog else { return };
        self.counters.recovered.add(events.len());
        backlog.recover(events, Arc::new(json));
    }

    /// The body of a request with these events, which were encoded when they were passed on.
    pub(crate) fn encoded(&self, first: u64, len: usize) -> Option<Bytes> {
        self.backlog.as_ref().map(|backlog| backlog.body(first, len))
    }

    /// Leaves the oldest events to the spool if they came from it and are not in flight.
    pub(crate) fn return_recovered(&self) {
        if let Some(backlog) = &self.backlog {
            self.counters.stored.add(backlog.return_recovered());
        }
    }

    /// For the submitter when it ends.
    pub(crate) fn abandon(&self) {
        if let Some(backlog) = &self.backlog {
            backlog.is_abandoned.store(true, Ordering::Release);
            self.wake_reader();
        }
    }

    pub(super) fn with_spool(&self, stats: Stats) -> Stats {
        let Some(backlog) = &self.backlog else { return stats };
        let held = backlog.stored.value().saturating_sub(backlog.unstored.value());
        let files = backlog.spool.get().map(Spool::stats).unwrap_or_default();
        Stats {
            pending: stats.pending.saturating_sub(held),
            spooled: stats.spooled + held,
            damaged: files.damaged + backlog.not_events.value(),
            expired: files.expired,
            ..stats
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicU32;

    use telemetry_model::EventBuilder;
    use uuid::Uuid;

    use super::*;
    use crate::protocol::body;

    fn buffer(capacity: usize) -> (EventBuffer, Arc<AtomicU32>) {
        let config = TelemetryConfig::builder()
            .server_url("https://example.com")
            .api_key("a".repeat(64))
            .instance_id("12345678-1234-1234-1234-123456789abc")
            .max_queue_size(capacity);
        let config = config.build().expect("a valid configuration");
        let wakes = Arc::<AtomicU32>::default();
        let counter = Arc::clone(&wakes);
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        (EventBuffer::with_backlog(&config, wake), wakes)
    }

    fn track(buffer: &EventBuffer, ids: std::ops::Range<u128>) {
        for id in ids {
            buffer.track(EventBuilder::new(Uuid::nil()).event_id(Uuid::from_u128(id)).build());
        }
    }

    #[test]
    fn only_stored_events_are_left_to_the_spool() {
        // The number of events that the file has, of those tracked meanwhile, and of those that are left.
        for (stored, meanwhile, left) in [(5, 0, 5), (2, 0, 2), (0, 0, 0), (3, 2, 1), (2, 4, 0)] {
            let (buffer, _) = buffer(5);
            track(&buffer, 0..5);
            let target = buffer.begin_flush();
            let batch = buffer.take_tracked(9).unwrap();
            track(&buffer, 5..5 + meanwhile);
            buffer.leave_to_spool(batch, stored);
            let stats = buffer.stats();
            assert!(stats.is_balanced(), "{stats:?}");
            // The whole batch leaves in the first case, so that no place is needed for it.
            let evicted = if left == 5 { 0 } else { meanwhile as u64 };
            assert_eq!((stats.spooled, stats.evicted), (left, evicted), "{stored} {meanwhile}");
            let rest = buffer.take_tracked(9);
            let first = rest.as_ref().map_or(5, |it| it[0].event_id.as_u128());
            assert_eq!(first, u128::from(left.max(evicted + left)), "{stored} {meanwhile}");
            drop(rest);
            assert_eq!(buffer.missing_since(target, false).1, left);
        }
    }

    #[test]
    fn commit_wakes_a_writer_that_waits_for_room_or_has_records_to_acknowledge() {
        for (is_waiting, stored_to, wakes) in [(false, 0, 0), (true, 0, 1), (false, 1, 1)] {
            let (buffer, counter) = buffer(5);
            track(&buffer, 0..2);
            let batch = buffer.take_tracked(9).unwrap();
            let json = Arc::new(Json::of(&batch));
            buffer.pass_on(batch, json);
            let backlog = buffer.backlog().unwrap();
            backlog.set_stored(stored_to);
            backlog.set_writer_waiting(is_waiting);
            counter.store(0, Ordering::Relaxed);
            let batch = buffer.take_batch(2).unwrap();
            buffer.commit(batch, 2, (&buffer.counters.rejected, 0));
            assert_eq!(counter.load(Ordering::Relaxed), wakes, "{is_waiting} {stored_to}");
        }
    }

    #[test]
    fn request_has_the_events_of_its_part_whatever_batches_they_were_passed_on_in() {
        let (buffer, _) = buffer(9);
        let mut events = Vec::new();
        for ids in [0..1, 1..4, 4..6] {
            track(&buffer, ids);
            let batch = buffer.take_tracked(9).unwrap();
            events.extend(batch.iter().cloned());
            let json = Arc::new(Json::of(&batch));
            buffer.pass_on(batch, json);
        }
        // The first event of the second batch is the oldest one left.
        let batch = buffer.take_batch(2).unwrap();
        buffer.commit(batch, 2, (&buffer.counters.rejected, 0));
        for (first, end) in [(2, 3), (2, 4), (3, 4), (2, 6), (3, 5), (4, 6), (5, 6)] {
            let encoded = buffer.encoded(first, (end - first) as usize).unwrap();
            assert_eq!(encoded, body(&events[first as usize..end as usize]), "{first} {end}");
            let is_whole_batch = (first, end) == (4, 6);
            let again = buffer.encoded(first, (end - first) as usize).unwrap();
            assert_eq!(again.as_ptr() == encoded.as_ptr(), is_whole_batch, "{first} {end}");
        }
    }
}

//! The buffer of a client with a spool, whose writer reads the queue.

use std::sync::Arc;

use telemetry_queue::Batch;
use telemetry_spool::Spool;

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
        self.tracked_len() > 0
    }

    /// True if the queue of tracked events is half full.
    pub(crate) fn is_filling(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.len() * 2 >= queue.capacity())
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
    pub(crate) fn encoded(&self, first: u64, len: usize) -> Option<Vec<u8>> {
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

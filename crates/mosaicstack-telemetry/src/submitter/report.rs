//! What is said: each thing once per spell in the log, each answer that settles or defers events in a
//! notice, and never the key.

use std::{sync::Arc, time::Instant};

use telemetry_model::EventResult;
use telemetry_transport::{Response, TransportError};
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::{Cause, LOG_TARGET, Notice, outbox::Outbox, protocol::Protocol, redact::excerpt};

/// The most rejections of one receipt that are told one by one.
const MAX_TOLD: usize = 5;

#[derive(Debug)]
pub(super) struct Reporter {
    outbox: Arc<Outbox>,
    /// How many events had been evicted before the current spell; none if there is no spell.
    spell: Option<u64>,
    /// How many had been evicted in all when that was looked at last.
    evicted: u64,
    refused: bool,
}

impl Reporter {
    pub(super) const fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, spell: None, evicted: 0, refused: false }
    }

    fn tell(&self, notice: impl FnOnce() -> Notice) {
        self.outbox.notices.tell(notice);
    }

    /// Warns when events begin to be evicted, and sums up when that is over: when the queue has
    /// room again and none was evicted since the last look.
    pub(super) fn evictions(&mut self) {
        let evicted = self.outbox.counters.evicted.value();
        let before = std::mem::replace(&mut self.evicted, evicted);
        if evicted > before {
            self.tell(|| Notice::Evicted { events: evicted - before });
            if self.spell.is_none() {
                self.spell = Some(before);
                warn!(target: LOG_TARGET, "the queue is full: the oldest events are evicted");
            }
        } else if let Some(first) = self.spell.take_if(|_| self.outbox.has_room()) {
            let is_over = self.outbox.end_evicting() == evicted;
            let lost = evicted - first;
            info!(target: LOG_TARGET, "the queue has room again: {lost} events were evicted");
            if !is_over {
                // Of the one that came just then nobody has been woken.
                self.evictions();
            }
        }
    }

    pub(super) fn dry_run(&self, protocol: &Protocol, count: usize) {
        let uri = protocol.events_uri();
        info!(target: LOG_TARGET, "[DRY RUN] Would submit batch of {count} events to {uri}");
    }

    /// For each event that was rejected, what the receipt says of it.
    pub(super) fn accepted(&mut self, count: usize, rejected: &[Option<&EventResult>]) {
        let events = count - rejected.len();
        if events > 0 {
            self.tell(|| Notice::Delivered { events });
        }
        for result in rejected {
            let event_id = result.and_then(|result| result.event_id);
            self.tell(|| Notice::Rejected { event_id, reason: reason(*result) });
        }
        debug!(target: LOG_TARGET, "submitted batch of {count} events");
        if std::mem::take(&mut self.refused) {
            info!(target: LOG_TARGET, "the server takes events again");
        }
        for result in rejected.iter().take(MAX_TOLD) {
            let id = result.and_then(|result| result.event_id);
            let id = id.map_or_else(|| "without id".into(), |id| id.to_string());
            let reason = reason(*result);
            warn!(target: LOG_TARGET, "the server rejected event {id}: {reason}");
        }
        if rejected.len() > MAX_TOLD {
            let more = rejected.len() - MAX_TOLD;
            warn!(target: LOG_TARGET, "the server rejected {more} more events");
        }
    }

    pub(super) fn rejected(&self, event_id: Uuid, result: &Result<Response, TransportError>) {
        let answer = Cause::of(result);
        let reason = || answer.to_string();
        self.tell(|| Notice::Rejected { event_id: Some(event_id), reason: reason() });
        warn!(target: LOG_TARGET, "event {event_id} is dropped: {answer}");
    }

    /// `pending` if the cycle gave up.
    pub(super) fn failed(
        &self,
        count: usize,
        result: &Result<Response, TransportError>,
        until: Instant,
        pending: Option<u64>,
    ) {
        let answer = Cause::of(result);
        self.tell(|| Notice::Deferred { events: count, cause: answer.clone(), until });
        debug!(target: LOG_TARGET, "batch of {count} events was not submitted: {answer}");
        if let Some(pending) = pending {
            warn!(
                target: LOG_TARGET,
                "{pending} events wait for the next cycle, the server is busy or cannot be \
                 reached: {answer}"
            );
        }
    }

    pub(super) fn refused(&mut self, result: &Result<Response, TransportError>, until: Instant) {
        let answer = Cause::of(result);
        self.tell(|| Notice::Refused { cause: answer.clone(), until });
        if !std::mem::replace(&mut self.refused, true) {
            warn!(
                target: LOG_TARGET,
                "{answer}: check the URL, the API key and its instance; events are kept and tried \
                 again each interval"
            );
        }
    }
}

fn reason(result: Option<&EventResult>) -> String {
    let said = result.and_then(|result| result.error.as_deref());
    excerpt(said.unwrap_or("no reason given"))
}

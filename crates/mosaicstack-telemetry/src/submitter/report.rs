//! What is said in the log. Each thing once per spell, and never the key.

use telemetry_model::BatchReceipt;
use telemetry_transport::{Response, TransportError};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::Delivery;
use crate::{LOG_TARGET, outbox::Outbox, protocol::Protocol};

/// The most rejections of one receipt that are told one by one.
const MAX_TOLD: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Reporter {
    /// How many events had been evicted before the current spell; none if there is no spell.
    spell: Option<u64>,
    /// How many had been evicted in all when that was looked at last.
    evicted: u64,
    refused: bool,
}

impl Reporter {
    /// Warns when events begin to be evicted, and sums up when that is over: when the queue has
    /// room again and none was evicted since the last look.
    pub(super) fn evictions(&mut self, outbox: &Outbox) {
        let evicted = outbox.counters.evicted.value();
        let more = evicted > self.evicted;
        if more && self.spell.is_none() {
            self.spell = Some(self.evicted);
            warn!(target: LOG_TARGET, "the queue is full: the oldest events are evicted");
        } else if !more && let Some(before) = self.spell.take_if(|_| outbox.has_room()) {
            let lost = evicted - before;
            info!(target: LOG_TARGET, "the queue has room again: {lost} events were evicted");
            outbox.end_evicting();
        }
        self.evicted = evicted;
    }

    pub(super) fn dry_run(&self, protocol: &Protocol, count: usize) {
        let uri = protocol.events_uri();
        info!(target: LOG_TARGET, "[DRY RUN] Would submit batch of {count} events to {uri}");
    }

    pub(super) fn accepted(&mut self, delivery: &Delivery) {
        debug!(target: LOG_TARGET, "submitted batch of {} events", delivery.len());
        if std::mem::take(&mut self.refused) {
            info!(target: LOG_TARGET, "the server takes events again");
        }
    }

    pub(super) fn rejections(&self, receipt: &BatchReceipt) {
        let rejected: Vec<_> = receipt.results.iter().filter(|it| it.is_rejected()).collect();
        for result in rejected.iter().take(MAX_TOLD) {
            let id = result.event_id.map_or_else(|| "without id".into(), |id| id.to_string());
            let reason = excerpt(result.error.as_deref().unwrap_or("no reason given"));
            warn!(target: LOG_TARGET, "the server rejected event {id}: {reason}");
        }
        if rejected.len() > MAX_TOLD {
            let more = rejected.len() - MAX_TOLD;
            warn!(target: LOG_TARGET, "the server rejected {more} more events");
        }
    }

    pub(super) fn rejected(&self, event_id: Uuid, result: &Result<Response, TransportError>) {
        let answer = described(result);
        warn!(target: LOG_TARGET, "event {event_id} is dropped: {answer}");
    }

    pub(super) fn failed(&self, count: usize, result: &Result<Response, TransportError>) {
        let answer = described(result);
        debug!(target: LOG_TARGET, "batch of {count} events was not submitted: {answer}");
    }

    pub(super) fn gave_up(&self, pending: u64) {
        warn!(
            target: LOG_TARGET,
            "the server cannot be reached or is busy: {pending} events wait for the next cycle"
        );
    }

    pub(super) fn refused(&mut self, result: &Result<Response, TransportError>) {
        if !std::mem::replace(&mut self.refused, true) {
            let answer = described(result);
            warn!(
                target: LOG_TARGET,
                "{answer}: check the URL, the API key and its instance; events are kept and tried \
                 again each interval"
            );
        }
    }
}

fn described(result: &Result<Response, TransportError>) -> String {
    match result {
        Ok(response) => format!("the server answered {}", response.status()),
        Err(error) => error.to_string(),
    }
}

/// The server's words, cut and without control characters.
fn excerpt(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

//! What is said in the log. Each thing once per spell, and never the key.

use telemetry_model::BatchReceipt;
use telemetry_transport::{Response, TransportError};
use tracing::{debug, info, warn};
use uuid::Uuid;

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
        let before = std::mem::replace(&mut self.evicted, evicted);
        if evicted > before {
            if self.spell.is_none() {
                self.spell = Some(before);
                warn!(target: LOG_TARGET, "the queue is full: the oldest events are evicted");
            }
        } else if let Some(first) = self.spell.take_if(|_| outbox.has_room()) {
            let is_over = outbox.end_evicting() == evicted;
            let lost = evicted - first;
            info!(target: LOG_TARGET, "the queue has room again: {lost} events were evicted");
            if !is_over {
                // Of the one that came just then nobody has been woken.
                self.evictions(outbox);
            }
        }
    }

    pub(super) fn dry_run(&self, protocol: &Protocol, count: usize) {
        let uri = protocol.events_uri();
        info!(target: LOG_TARGET, "[DRY RUN] Would submit batch of {count} events to {uri}");
    }

    pub(super) fn accepted(&mut self, count: usize, receipt: &BatchReceipt) {
        debug!(target: LOG_TARGET, "submitted batch of {count} events");
        if std::mem::take(&mut self.refused) {
            info!(target: LOG_TARGET, "the server takes events again");
        }
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

    /// `pending` if the cycle gave up.
    pub(super) fn failed(
        &self,
        count: usize,
        result: &Result<Response, TransportError>,
        pending: Option<u64>,
    ) {
        let answer = described(result);
        debug!(target: LOG_TARGET, "batch of {count} events was not submitted: {answer}");
        if let Some(pending) = pending {
            warn!(
                target: LOG_TARGET,
                "{pending} events wait for the next cycle, the server is busy or cannot be \
                 reached: {answer}"
            );
        }
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
        Err(error) => excerpt(&error.to_string()),
    }
}

/// Somebody else's words: cut, on one line, and without anything that could be the key.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    let is_other = |c: char| !c.is_ascii_hexdigit();
    let mut shown: String = text.chars().take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        // The beginning of a key could have been cut off from its end.
        shown.truncate(shown.trim_end_matches(|c| !is_other(c)).len());
    }
    let shown = shown.replace(|c: char| c.is_control(), " ");
    shown
        .split_inclusive(is_other)
        .map(|piece| match piece.trim_end_matches(is_other) {
            word if word.len() >= 32 => piece.replacen(word, "…", 1),
            _ => piece.into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_peoples_words_are_cut_and_cleaned() {
        let key = "5ec2e7c0".repeat(8);
        let said = format!("no\nsuch key: \"Bearer {key}\", {key}");
        assert_eq!(excerpt(&said), "no such key: \"Bearer …\", …");
        assert_eq!(excerpt(&format!("key={key}")), "key=…");
        assert_eq!(excerpt(&"ö".repeat(300)), "ö".repeat(200));
        assert_eq!(excerpt(&format!("{}{key}", "ö".repeat(180))), "ö".repeat(180));
        let id = "event a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d";
        assert_eq!(excerpt(id), id);
        assert_eq!(excerpt(""), "");
    }
}

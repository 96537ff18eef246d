//! Log messages and notifications of the submitter.
//!
//! A message is logged once for each burst of its cause. Neither contains the API key.

#[cfg(feature = "spool")]
mod spool;

use std::{mem, sync::Arc, time::Duration};

use telemetry_model::EventResult;
use telemetry_transport::{Response, TransportError};
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::{
    LOG_TARGET,
    event_buffer::EventBuffer,
    notification::{Callback, FailureCause, Notification},
    panics,
    protocol::Protocol,
    redact::excerpt,
    response,
};

/// The maximum number of rejections of one receipt that are logged individually.
const MAX_LOGGED: usize = 5;

#[derive(Debug)]
pub(super) struct Reporter {
    buffer: Arc<EventBuffer>,
    callback: Option<Callback>,
    /// Evictions before the current burst; `None` outside a burst.
    burst: Option<u64>,
    /// Evictions and panics that have been reported.
    evicted: u64,
    panics: u64,
    misconfigured: bool,
    /// A receipt that cannot be read was reported.
    not_understood: bool,
    #[cfg(feature = "spool")]
    spool: spool::Reported,
}

impl Reporter {
    pub(super) const fn new(buffer: Arc<EventBuffer>, callback: Option<Callback>) -> Self {
        Self {
            buffer,
            callback,
            burst: None,
            evicted: 0,
            panics: 0,
            misconfigured: false,
            not_understood: false,
            #[cfg(feature = "spool")]
            spool: spool::Reported::new(),
        }
    }

    fn notify(&mut self, notification: impl FnOnce() -> Notification) {
        let Some(callback) = &self.callback else { return };
        let notification = notification();
        if panics::catch(|| callback.call(&notification)).is_err() {
            self.buffer.count_panic();
            // Not reported to the callback, which would panic for ever.
            self.panics += 1;
        }
    }

    /// Reports evictions and panics since the last call.
    pub(super) fn changes(&mut self) {
        let panics = self.buffer.counters.panics.value();
        let new = panics - mem::replace(&mut self.panics, panics);
        if new > 0 {
            self.notify(|| Notification::PanicCaught { panics: new });
        }
        self.evictions();
        #[cfg(feature = "spool")]
        self.spool();
    }

    /// Warns at the start of a burst of evictions. Logs their number at its end: when the queue has
    /// room and no event was evicted since the last call.
    fn evictions(&mut self) {
        let evicted = self.buffer.counters.evicted.value();
        let before = mem::replace(&mut self.evicted, evicted);
        if evicted > before {
            self.notify(|| Notification::Evicted { events: evicted - before });
            if self.burst.is_none() {
                self.burst = Some(before);
                warn!(target: LOG_TARGET, "the queue is full: the oldest events are evicted");
            }
        } else if let Some(first) = self.burst.take_if(|_| self.buffer.has_room()) {
            let is_over = self.buffer.end_eviction_burst() == evicted;
            let lost = evicted - first;
            info!(target: LOG_TARGET, "the queue has room again: {lost} events were evicted");
            if !is_over {
                // An eviction just before the end of the burst has woken no worker.
                self.evictions();
            }
        }
    }

    /// Logs a batch of events, as JSON, that is not sent.
    pub(super) fn dry_run(&self, protocol: &Protocol, events: &[String]) {
        let (count, uri) = (events.len(), protocol.events_uri());
        info!(target: LOG_TARGET, "[DRY RUN] Would submit batch of {count} events to {uri}");
        for event in events {
            debug!(target: LOG_TARGET, "[DRY RUN] {event}");
        }
    }

    /// Reports an accepted batch; `rejected` has the receipt's results for the rejected events.
    pub(super) fn accepted(&mut self, count: usize, rejected: &[Option<&EventResult>]) {
        let events = count - rejected.len();
        if events > 0 {
            self.notify(|| Notification::Delivered { events });
        }
        for result in rejected {
            let event_id = result.and_then(|result| result.event_id);
            self.notify(|| Notification::Rejected { event_id, reason: reason(*result) });
        }
        debug!(target: LOG_TARGET, "submitted batch of {count} events");
        self.accepts_again();
        for result in rejected.iter().take(MAX_LOGGED) {
            let id = result.and_then(|result| result.event_id);
            let id = id.map_or_else(|| "without id".into(), |id| id.to_string());
            let reason = reason(*result);
            warn!(target: LOG_TARGET, "the server rejected event {id}: {reason}");
        }
        if rejected.len() > MAX_LOGGED {
            let more = rejected.len() - MAX_LOGGED;
            warn!(target: LOG_TARGET, "the server rejected {more} more events");
        }
    }

    /// Reports the end of a misconfiguration, if there was one.
    pub(super) fn accepts_again(&mut self) {
        if mem::take(&mut self.misconfigured) {
            info!(target: LOG_TARGET, "the server accepts events again");
        }
    }

    /// Warns once of a receipt that cannot be read.
    pub(super) fn not_understood(&mut self, result: &Result<Response, TransportError>) {
        if !mem::replace(&mut self.not_understood, true) {
            let body = result.as_ref().map_or_else(|_| String::new(), response::body_excerpt);
            warn!(
                target: LOG_TARGET,
                "events count as delivered, but the server's receipt is not understood: {body}"
            );
        }
    }

    pub(super) fn rejected(&mut self, event_id: Uuid, result: &Result<Response, TransportError>) {
        let cause = FailureCause::of(result);
        let reason = || cause.to_string();
        self.notify(|| Notification::Rejected { event_id: Some(event_id), reason: reason() });
        warn!(target: LOG_TARGET, "the server rejected event {event_id}: {cause}");
    }

    /// Reports an attempt that is retried; `gave_up_with` is the number of pending events if not in
    /// this flush cycle.
    pub(super) fn deferred(
        &mut self,
        count: usize,
        result: &Result<Response, TransportError>,
        retry_in: Duration,
        gave_up_with: Option<u64>,
    ) {
        let cause = FailureCause::of(result);
        self.notify(|| Notification::Deferred { events: count, cause: cause.clone(), retry_in });
        debug!(target: LOG_TARGET, "batch of {count} events was not submitted: {cause}");
        if let Some(pending) = gave_up_with {
            warn!(
                target: LOG_TARGET,
                "not delivered, {pending} events wait for the next interval: {cause}"
            );
        }
    }

    pub(super) fn misconfigured(
        &mut self,
        result: &Result<Response, TransportError>,
        retry_in: Duration,
    ) {
        let cause = FailureCause::of(result);
        self.notify(|| Notification::Misconfigured { cause: cause.clone(), retry_in });
        if !mem::replace(&mut self.misconfigured, true) {
            warn!(
                target: LOG_TARGET,
                "{cause}: check the server URL, the API key and its instance; events stay queued \
                 and are tried again each interval"
            );
        }
    }
}

fn reason(result: Option<&EventResult>) -> String {
    let reason = result.and_then(|result| result.error.as_deref());
    excerpt(reason.unwrap_or("no reason given"))
}

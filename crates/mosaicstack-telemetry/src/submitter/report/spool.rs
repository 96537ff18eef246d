//! Log messages and notifications about the spool.

use std::mem;

use tracing::{debug, warn};

use super::Reporter;
use crate::{LOG_TARGET, notification::Notification};

/// Counts that have been reported.
#[derive(Debug)]
pub(super) struct Reported {
    recovered: u64,
    stored: u64,
    damaged: u64,
    expired: u64,
}

impl Reported {
    pub(super) const fn new() -> Self {
        Self { recovered: 0, stored: 0, damaged: 0, expired: 0 }
    }
}

impl Reporter {
    /// Reports what happened in the spool since the last call.
    pub(super) fn spool(&mut self) {
        let Some(backlog) = self.buffer.backlog() else { return };
        let failure = backlog.take_failure();
        let stats = self.buffer.stats();
        let stored = self.buffer.counters.stored.value();
        let since = |seen: &mut u64, now: u64| now.saturating_sub(mem::replace(seen, now));
        let recovered = since(&mut self.spool.recovered, stats.recovered);
        if recovered > 0 {
            self.notify(|| Notification::Recovered { events: recovered });
            debug!(target: LOG_TARGET, "{recovered} events of the spool are delivered next");
        }
        self.spooled(stored);
        let damaged = since(&mut self.spool.damaged, stats.damaged);
        if damaged > 0 {
            self.notify(|| Notification::Damaged { events: damaged });
            warn!(target: LOG_TARGET, "{damaged} events of the spool were damaged and are lost");
        }
        let expired = since(&mut self.spool.expired, stats.expired);
        if expired > 0 {
            self.notify(|| Notification::Expired { events: expired });
            warn!(target: LOG_TARGET, "the spool was full or its events too old: {expired} are lost");
        }
        if let Some(reason) = failure {
            self.notify(|| Notification::SpoolFailed { reason: reason.clone() });
            warn!(target: LOG_TARGET, "the spool cannot be used, and is tried again: {reason}");
        }
    }

    /// Reports the events that the client leaves in the spool at its end.
    pub(in crate::submitter) fn ended(&mut self) {
        if self.buffer.backlog().is_some() {
            self.spool();
            self.spooled(self.buffer.stats().spooled);
        }
    }

    /// Reports events that were left to the spool, `total` since the start.
    fn spooled(&mut self, total: u64) {
        let events = total.saturating_sub(self.spool.stored);
        if events > 0 {
            self.spool.stored = total;
            self.notify(|| Notification::Spooled { events });
            debug!(target: LOG_TARGET, "{events} events are left to the spool");
        }
    }
}

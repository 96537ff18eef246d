//! The message about events that a stopped client leaves undelivered.

#[cfg(feature = "spool")]
use tracing::info;
use tracing::warn;

#[cfg(feature = "spool")]
use crate::stats::Stats;
use crate::{LOG_TARGET, event_buffer::EventBuffer, panics};

/// The events that a stopped client leaves undelivered.
pub(super) struct Left {
    pending: u64,
    #[cfg(feature = "spool")]
    spooled: u64,
}

impl Left {
    /// `None` if there are none, and after the first call for a client.
    pub(super) fn once(buffer: &EventBuffer) -> Option<Self> {
        let pending = buffer.pending();
        if pending == 0 || !buffer.report_pending_once() {
            return None;
        }
        #[cfg(feature = "spool")]
        let Stats { pending, spooled, .. } = buffer.stats();
        Some(Self {
            pending,
            #[cfg(feature = "spool")]
            spooled,
        })
    }

    pub(super) fn log(&self) {
        // Called while dropping, where a panic of a log subscriber could abort the program.
        let _ = panics::catch(|| {
            #[cfg(feature = "spool")]
            if self.spooled > 0 {
                let events = self.spooled;
                info!(target: LOG_TARGET, "shut down in time, {events} events are kept in the spool");
            }
            if self.pending > 0 {
                let events = self.pending;
                warn!(target: LOG_TARGET, "shut down in time, but {events} events are not delivered");
            }
        });
    }
}

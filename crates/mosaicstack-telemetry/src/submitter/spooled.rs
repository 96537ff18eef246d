//! The submitter of a client with a spool.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Action, Start, Submitter};
use crate::{
    clock,
    config::{TelemetryConfig, spool::Destination},
    event_buffer::EventBuffer,
    handle::TelemetryHandle,
    spool_writer::{SpoolWriter, WriterWaker},
};

/// Time between two looks for events that the writer passes on.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Submitter {
    /// As [`new`](Self::new), and uses the spool of the configuration. `None` without one, in a dry run, and if telemetry
    /// is disabled.
    ///
    /// Events reach the submitter through the writer only: run it on a separate thread, before the first event
    /// is tracked or later. `wake` is called by the writer instead of [`TelemetryHandle::track`]. The writer ends when
    /// the submitter has been dropped, and it or the handle was closed.
    ///
    /// ```
    /// use std::{thread, time::Instant};
    /// use mosaicstack_telemetry::{TelemetryConfig, sans_io::*, spool::Spool};
    ///
    /// # let dir = std::env::temp_dir().join(format!("driver-example-{}", std::process::id()));
    /// # let config = TelemetryConfig::builder()
    /// #     .server_url("https://tel-api.mosaicstack.dev")
    /// #     .api_key("a".repeat(64))
    /// #     .instance_id("12345678-1234-1234-1234-123456789abc")
    /// #     .spool(Spool::in_dir(&dir))
    /// #     .build()?;
    /// let start = Start { now: Instant::now(), seed: 7 };
    /// if let Some((submitter, handle, writer)) = Submitter::with_spool(&config, start, || {}) {
    ///     let writer = thread::spawn(|| writer.run());
    ///     handle.track(handle.event().build());
    ///     // Drive the submitter, as without a spool.
    /// #   handle.shutdown(std::time::Duration::ZERO);
    /// #   drop(submitter);
    /// #   writer.join().unwrap();
    /// #   assert_eq!(handle.stats().spooled, 1);
    /// }
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_spool(
        config: &TelemetryConfig,
        start: Start,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Option<(Self, TelemetryHandle, SpoolWriter)> {
        Self::with_spool_and_clock(config, start, clock::now, wake)
    }

    pub(crate) fn with_spool_and_clock(
        config: &TelemetryConfig,
        start: Start,
        clock: fn() -> Instant,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Option<(Self, TelemetryHandle, SpoolWriter)> {
        let destination = Destination::of(config)?;
        let waker = Arc::<WriterWaker>::default();
        let buffer = {
            let waker = Arc::clone(&waker);
            EventBuffer::with_backlog(config, move || waker.wake())
        };
        let (submitter, handle) = Self::with_buffer(config, start, clock, buffer);
        let buffer = Arc::clone(&submitter.buffer);
        let writer = SpoolWriter::new(config, destination, buffer, waker, wake);
        Some((submitter, handle, writer))
    }

    /// Limits the time of each request.
    pub(crate) fn limit_requests(&mut self, left: Duration) {
        self.request_timeout = self.request_timeout.min(left);
    }

    /// The action if there are events to send that the writer has not passed on yet.
    pub(super) fn wait_for_writer(&self, now: Instant) -> Option<Action> {
        let is_due = self.buffer.acknowledged() < self.target;
        if !is_due || self.buffer.end() == self.buffer.queued() {
            return None;
        }
        self.buffer.wake_reader();
        // The writer wakes the driver. This is for a disk that hangs.
        let poll_at = clock::after(now, POLL_INTERVAL);
        Some(Action::Wait(self.closing.map_or(poll_at, |deadline| deadline.min(poll_at))))
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        self.buffer.abandon();
    }
}

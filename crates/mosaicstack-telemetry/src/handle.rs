//! The handle that an application clones and passes around.

mod task_guard;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use telemetry_model::{EventBuilder, TaskCompletionEvent};
use uuid::Uuid;

pub use self::task_guard::TaskGuard;
use crate::{error::FlushError, event_buffer::EventBuffer, stats::Stats};

/// Records events and reads the counters, from any thread.
///
/// Cloning is cheap; all clones share one queue. A handle may outlive its client: events tracked
/// after that are counted as dropped.
///
/// [`flush`](Self::flush) and [`shutdown`](Self::shutdown) block the calling thread, also for the
/// client on tokio. They are for places that own no client or cannot await: before
/// `std::process::exit`, or in a panic hook that exits.
///
/// ```
/// use std::{panic, process, time::Duration};
/// use mosaicstack_telemetry::TelemetryHandle;
///
/// fn exit_on_panic(telemetry: TelemetryHandle) {
///     let report = panic::take_hook();
///     panic::set_hook(Box::new(move |panic| {
///         report(panic);
///         telemetry.shutdown(Duration::from_secs(1));
///         process::exit(101);
///     }));
/// }
/// # let _ = exit_on_panic;
/// ```
#[derive(Clone, Debug)]
pub struct TelemetryHandle {
    pub(crate) buffer: Arc<EventBuffer>,
    instance_id: Uuid,
    /// The clock of the client, which a test may have paused.
    pub(crate) clock: fn() -> Instant,
    /// `None` in the handle of a custom driver, and in that of [`global`](crate::global) before `init`.
    worker: Option<Arc<dyn Worker>>,
}

/// Delivers the events of a handle on request. The calls block their thread.
pub(crate) trait Worker: fmt::Debug + Send + Sync {
    fn flush(&self, timeout: Duration) -> Result<(), FlushError>;
    fn shut_down(&self, timeout: Duration);
}

impl TelemetryHandle {
    pub(crate) const fn new(
        buffer: Arc<EventBuffer>,
        instance_id: Uuid,
        clock: fn() -> Instant,
    ) -> Self {
        Self { buffer, instance_id, clock, worker: None }
    }

    pub(crate) fn connect(&mut self, worker: Arc<dyn Worker>) {
        self.worker = Some(worker);
    }

    /// Records an event. Never fails, never panics and never blocks.
    ///
    /// Apart from the allocator, it waits for no other thread; it allocates once and does no I/O.
    /// (On tokio, waking the worker task for a full batch takes the runtime's own short locks.) If
    /// the queue is full, the oldest event is evicted; if telemetry is disabled or has been shut
    /// down, the event is dropped. [`Stats`] counts both.
    ///
    /// While the system has no thread for a [`TelemetryClient`](crate::TelemetryClient)
    /// ([`Health::NoWorker`](crate::Health::NoWorker)), one call a second tries to spawn it, and takes as
    /// long as the system needs for that.
    pub fn track(&self, event: TaskCompletionEvent) {
        self.buffer.track(event);
    }

    /// Starts an event with the configured instance id.
    pub fn event(&self) -> EventBuilder {
        EventBuilder::new(self.instance_id)
    }

    /// Starts a task that is timed from now on. `event`, with the later additions, is tracked when
    /// the guard is finished or dropped.
    pub fn begin(&self, event: EventBuilder) -> TaskGuard {
        TaskGuard::new(self.clone(), event)
    }

    /// Sends the events tracked before this call, and blocks until the server has accepted or
    /// rejected them; at most for `timeout` plus 50 ms.
    ///
    /// Works on any thread, with or without a runtime. Returns earlier if nothing more can be done in
    /// time, because the server asked for a longer pause or refuses the configuration, or the client
    /// has ended. Returns at once if telemetry is disabled, in a forked child, and on the client's
    /// worker (in the transport, a log subscriber or the notification callback), which cannot wait
    /// for itself.
    ///
    /// The client on tokio delivers while its runtime runs. On a thread that the runtime needs for
    /// that, this call can only wait for its deadline: await
    /// [`AsyncTelemetryClient::flush`](crate::AsyncTelemetryClient::flush) there, use
    /// `spawn_blocking`, or [`global`](crate::global), whose client has a thread.
    ///
    /// # Errors
    ///
    /// Some events are still pending: they stay queued, and a client that has not ended goes on trying.
    /// Or the full queue has evicted some of them during the call. The error has both numbers. The
    /// handle of a custom driver cannot request a flush: an error if events are pending.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        match &self.worker {
            Some(worker) => worker.flush(timeout),
            None if self.buffer.is_empty() => Ok(()),
            None => Err(FlushError { pending: self.buffer.pending(), evicted: 0 }),
        }
    }

    /// Ends the client as its `stop` does: delivers the queued events, and blocks until that is done;
    /// at most for `timeout` plus 50 ms.
    ///
    /// Events that could not be delivered in time are `pending` in the returned counters, and a
    /// warning is logged. Events tracked from now on are dropped. If the client is shut down several
    /// times, also by its `stop` or by dropping it, the earliest deadline counts, so that later calls
    /// return sooner.
    ///
    /// Works on any thread, and returns early where [`flush`](Self::flush) does. The handle of a
    /// custom driver drops further events and leaves the delivery to the driver.
    pub fn shutdown(&self, timeout: Duration) -> Stats {
        match &self.worker {
            Some(worker) => worker.shut_down(timeout),
            None => self.buffer.close(),
        }
        self.stats()
    }

    /// The current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.buffer.stats()
    }
}

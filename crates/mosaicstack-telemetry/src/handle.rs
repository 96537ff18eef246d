//! The handle that an application clones and passes around.

mod task_guard;

use std::{sync::Arc, time::Instant};

use telemetry_model::{EventBuilder, TaskCompletionEvent};
use uuid::Uuid;

pub use self::task_guard::TaskGuard;
use crate::{event_buffer::EventBuffer, stats::Stats};

/// Records events and reads the counters, without I/O.
///
/// Cloning is cheap; all clones share one queue. A handle may outlive its client: events tracked
/// after that are counted as dropped.
#[derive(Clone, Debug)]
pub struct TelemetryHandle {
    pub(crate) buffer: Arc<EventBuffer>,
    instance_id: Uuid,
    /// The clock of the client, which a test may have paused.
    clock: fn() -> Instant,
}

impl TelemetryHandle {
    pub(crate) const fn new(
        buffer: Arc<EventBuffer>,
        instance_id: Uuid,
        clock: fn() -> Instant,
    ) -> Self {
        Self { buffer, instance_id, clock }
    }

    /// Records an event. Never fails, never panics and never blocks.
    ///
    /// Apart from the allocator, it waits for no other thread; it allocates once and does no I/O.
    /// (On tokio, waking the worker task for a full batch takes the runtime's own short locks.) If
    /// the queue is full, the oldest event is evicted; if telemetry is disabled or has been shut
    /// down, the event is dropped. [`Stats`] counts both.
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

    /// The current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.buffer.stats()
    }
}

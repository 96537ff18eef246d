//! A guard that measures a task and reports it when it ends.

use std::{
    mem,
    time::{Duration, Instant},
};

use telemetry_model::{EventBuilder, Outcome};
use uuid::Uuid;

use super::TelemetryHandle;

/// Measures the duration of a task and reports the task once: by [`finish`](Self::finish), or else when
/// dropped by a panic, an early return or a cancelled future.
///
/// Created by [`TelemetryHandle::begin`]. Finish or drop it before the client is stopped: events
/// tracked later are dropped, and counted as such. With `panic = "abort"`, a panic reports nothing.
///
/// ```
/// use mosaicstack_telemetry::{Outcome, TaskType, TelemetryHandle, Tokens};
///
/// fn attempt(handle: &TelemetryHandle) -> Result<(), std::fmt::Error> {
///     let mut task = handle.begin(handle.event().task_type(TaskType::Debugging));
///     let answer = ask_the_model()?; // an early return here reports a failure
///     task.record(|event| {
///         event.tokens(Tokens { actual_out: answer.len() as u64, ..Tokens::default() })
///     });
///     task.finish(Outcome::Success);
///     Ok(())
/// }
/// # fn ask_the_model() -> Result<String, std::fmt::Error> { Ok("42".to_owned()) }
///
/// # use mosaicstack_telemetry::{
/// #     TelemetryClient, TelemetryConfig, transport::{Request, Response, TransportError},
/// # };
/// # let handle = TelemetryClient::with_transport(
/// #     TelemetryConfig::disabled(),
/// #     |_: Request| -> Result<Response, TransportError> { Ok(Response::default()) },
/// # ).handle();
/// attempt(&handle)?;
/// assert_eq!(handle.stats().tracked, 1);
/// # Ok::<(), std::fmt::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping the guard reports the task as unfinished"]
pub struct TaskGuard {
    handle: TelemetryHandle,
    began: Instant,
    /// `None` once the event is reported or discarded.
    event: Option<EventBuilder>,
    unfinished: Outcome,
}

impl TaskGuard {
    pub(crate) fn new(handle: TelemetryHandle, event: EventBuilder) -> Self {
        let began = (handle.clock)();
        Self { handle, began, event: Some(event), unfinished: Outcome::Failure }
    }

    /// Sets the outcome to report if the guard is dropped unfinished; [`Outcome::Failure`] by default.
    pub fn unfinished_as(mut self, outcome: impl Into<Outcome>) -> Self {
        self.unfinished = outcome.into();
        self
    }

    /// Updates the event. If `add` panics, the event keeps its previous state.
    pub fn record(&mut self, add: impl FnOnce(EventBuilder) -> EventBuilder) {
        if let Some(event) = &mut self.event {
            *event = add(event.clone());
        }
    }

    /// Time since the task began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed_at((self.handle.clock)())
    }

    /// Reports the task with `outcome` and the time since it began, and returns the event's id.
    ///
    /// Replaces an outcome and a duration set on the event before.
    pub fn finish(mut self, outcome: impl Into<Outcome>) -> Uuid {
        self.report((self.handle.clock)(), outcome.into()).unwrap_or_default()
    }

    /// Drops the guard without reporting the task.
    pub fn discard(mut self) {
        self.event = None;
    }

    fn report(&mut self, now: Instant, outcome: Outcome) -> Option<Uuid> {
        let event = self.event.take()?.outcome(outcome).duration(self.elapsed_at(now)).build();
        let id = event.event_id;
        self.handle.track(event);
        Some(id)
    }

    fn elapsed_at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let outcome = mem::take(&mut self.unfinished);
        self.report((self.handle.clock)(), outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use telemetry_model::TaskCompletionEvent;

    use super::*;
    use crate::{
        TelemetryConfig, clock,
        submitter::{Action, Start, Submitter},
    };

    fn recorder() -> (TelemetryHandle, Submitter) {
        let config = TelemetryConfig::builder()
            .server_url("https://example.com")
            .api_key("a".repeat(64))
            .instance_id("12345678-1234-1234-1234-123456789abc");
        let start = Start { now: clock::now(), seed: 7 };
        let (submitter, handle) = Submitter::new(&config.build().unwrap(), start, || {});
        (handle, submitter)
    }

    fn reported(submitter: &mut Submitter) -> Vec<TaskCompletionEvent> {
        submitter.flush(clock::now());
        let Action::Send(_, delivery) = submitter.poll(clock::now()) else { return Vec::new() };
        delivery.events().cloned().collect()
    }

    #[test]
    fn finished_task_is_reported_once_with_its_duration() {
        let (handle, mut submitter) = recorder();
        let event = handle.event().duration_ms(7).outcome(Outcome::Timeout);
        let mut task = handle.begin(event);
        let end = task.began + Duration::from_millis(1_500);
        task.record(|event| event.model("m"));
        assert_eq!(task.elapsed_at(end), Duration::from_millis(1_500));
        let id = task.report(end, Outcome::Success);
        drop(task);
        let events = reported(&mut submitter);
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((Some(event.event_id), event.task_duration_ms), (id, 1_500));
        assert_eq!((&event.outcome, event.model.as_str()), (&Outcome::Success, "m"));
    }

    #[test]
    fn finish_returns_the_reported_id() {
        let (handle, mut submitter) = recorder();
        let id = handle.begin(handle.event()).finish(Outcome::Partial);
        let events = reported(&mut submitter);
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((event.event_id, &event.outcome), (id, &Outcome::Partial));
    }

    #[test]
    fn dropped_task_is_reported_with_the_unfinished_outcome() {
        let (handle, mut submitter) = recorder();
        drop(handle.begin(handle.event().outcome(Outcome::Success)));
        drop(handle.begin(handle.event()).unfinished_as(Outcome::Timeout));
        handle.begin(handle.event()).discard();
        let outcomes: Vec<_> = reported(&mut submitter).into_iter().map(|it| it.outcome).collect();
        assert_eq!(outcomes, [Outcome::Failure, Outcome::Timeout]);
    }

    #[test]
    fn panic_reports_the_event_recorded_before() {
        let (handle, mut submitter) = recorder();
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            let mut task = handle.begin(handle.event().model("first"));
            task.record(|event| event.model("second"));
            task.record(|_| panic::resume_unwind(Box::new("while recording")));
        }));
        assert!(result.is_err());
        let events = reported(&mut submitter);
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((&event.outcome, event.model.as_str()), (&Outcome::Failure, "second"));
    }
}

//! A guard that measures a task and reports it when it ends.

use std::{
    mem,
    time::{Duration, Instant},
};

use telemetry_model::{EventBuilder, Outcome, Usage};
use uuid::Uuid;

use super::TelemetryHandle;

/// Measures the duration of a task and reports the task once: by [`finish`](Self::finish), or else when
/// dropped by a panic, an early return or a cancelled future.
///
/// Created by [`TelemetryHandle::begin`]. Finish or drop it before the client is stopped: events
/// tracked later are dropped, and counted as such. With `panic = "abort"`, a panic reports nothing.
///
/// ```
/// use mosaicstack_telemetry::{TaskType, TelemetryHandle, Usage};
///
/// fn attempt(handle: &TelemetryHandle) -> Result<(), std::fmt::Error> {
///     let mut task = handle.begin(handle.event().task_type(TaskType::Debugging));
///     for prompt in ["find the bug", "fix it"] {
///         let usage = ask_the_model(prompt)?; // an early return here reports a failure
///         task.add(&usage);
///     }
///     let tests = run_the_tests();
///     task.finish(&tests); // a success if they pass
///     tests
/// }
/// # fn ask_the_model(_: &str) -> Result<Usage, std::fmt::Error> { Ok(Usage::default()) }
/// # fn run_the_tests() -> Result<(), std::fmt::Error> { Ok(()) }
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

    /// Adds the usage of a request to the task's actual tokens, and to its cost if the event has a
    /// [price](EventBuilder::price).
    ///
    /// Unknown usage is not usage 0: if a provider reports none, or a stream breaks off before its usage,
    /// add an estimate (for English text and code, about a token for each four characters), or
    /// [`discard`](Self::discard) the task. The schema cannot say that a count is unknown or partial, and
    /// counts that are too low lower the predictions for everyone.
    pub fn add(&mut self, usage: &Usage) {
        self.event = self.event.take().map(|event| event.add_usage(usage));
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

    /// Reports the task with `outcome` and the time since it began, and returns the event's id. The outcome
    /// can also be a `Result` or an exit status.
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

    use telemetry_model::Price;

    use super::*;
    use crate::{
        clock,
        recorder::{recorder, reported},
    };

    #[test]
    fn finished_task_is_reported_once_with_its_duration() {
        let (handle, mut submitter) = recorder(clock::now);
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
    fn usage_of_all_requests_is_reported() {
        let (handle, mut submitter) = recorder(clock::now);
        let price = Price::usd_per_million(3.0, 15.0).cache_read(0.3);
        let mut task = handle.begin(handle.event().price(price));
        task.add(&Usage::openai(2_000, 0, 300, 200));
        task.record(|event| event.model("m"));
        task.add(&Usage::openai(3_000, 2_000, 40, 0));
        task.finish(Ok::<_, ()>(()));
        let events = reported(&mut submitter);
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((event.actual_input_tokens, event.actual_output_tokens), (5_000, 340));
        assert_eq!(event.actual_cost_usd_micros, 3 * 3_000 + 600 + 15 * 340);
        assert_eq!(event.outcome, Outcome::Success);
    }

    #[test]
    fn finish_returns_the_reported_id() {
        let (handle, mut submitter) = recorder(clock::now);
        let id = handle.begin(handle.event()).finish(Outcome::Partial);
        let events = reported(&mut submitter);
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((event.event_id, &event.outcome), (id, &Outcome::Partial));
    }

    #[test]
    fn dropped_task_is_reported_with_the_unfinished_outcome() {
        let (handle, mut submitter) = recorder(clock::now);
        drop(handle.begin(handle.event().outcome(Outcome::Success)));
        drop(handle.begin(handle.event()).unfinished_as(Outcome::Timeout));
        handle.begin(handle.event()).discard();
        let outcomes: Vec<_> = reported(&mut submitter).into_iter().map(|it| it.outcome).collect();
        assert_eq!(outcomes, [Outcome::Failure, Outcome::Timeout]);
    }

    #[test]
    fn panic_reports_the_event_recorded_before() {
        let (handle, mut submitter) = recorder(clock::now);
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

//! A task that reports itself when it ends, however it ends.

use std::{
    mem,
    time::{Duration, Instant},
};

use telemetry_model::{EventBuilder, Outcome};
use uuid::Uuid;

use super::TelemetryHandle;

/// Times a task and reports it: when it is finished, or else when it is dropped, by a panic, an early
/// return or a cancelled future.
///
/// Made by [`TelemetryHandle::begin`]. Finish or drop it before the client is stopped: after that,
/// what it reports is counted as dropped, like all that is tracked then. In a build with
/// `panic = "abort"`, a panic drops nothing, so nothing is reported.
///
/// ```
/// use mosaicstack_telemetry::*;
///
/// fn attempt(handle: &TelemetryHandle) -> Result<(), std::fmt::Error> {
///     let mut task = handle.begin(handle.event().task_type(TaskType::Debugging));
///     let answer = ask_the_model()?; // reported as a failure, if this returns
///     task.record(|event| {
///         event.tokens(Tokens { actual_out: answer.len() as u64, ..Tokens::default() })
///     });
///     task.finish(Outcome::Success);
///     Ok(())
/// }
/// # fn ask_the_model() -> Result<String, std::fmt::Error> { Ok("42".to_owned()) }
///
/// # let handle = TelemetryClient::with_transport(
/// #     TelemetryConfig::disabled(),
/// #     |_: Request| -> Result<Response, TransportError> { Ok(Response::default()) },
/// # ).handle();
/// attempt(&handle)?;
/// assert_eq!(handle.stats().tracked, 1);
/// # Ok::<(), std::fmt::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropped, it reports the task as unfinished"]
pub struct TaskGuard {
    handle: TelemetryHandle,
    began: Instant,
    /// None once it is reported.
    event: Option<EventBuilder>,
    unfinished: Outcome,
}

impl TaskGuard {
    pub(crate) fn new(handle: TelemetryHandle, event: EventBuilder) -> Self {
        let began = (handle.clock)();
        Self { handle, began, event: Some(event), unfinished: Outcome::Failure }
    }

    /// Chooses the outcome to report if the task is never finished; [`Outcome::Failure`] by default.
    pub fn unfinished_as(mut self, outcome: impl Into<Outcome>) -> Self {
        self.unfinished = outcome.into();
        self
    }

    /// Adds to the event what has become known meanwhile. Should the closure panic, what it would have
    /// added is missing.
    pub fn record(&mut self, add: impl FnOnce(EventBuilder) -> EventBuilder) {
        if let Some(event) = &mut self.event {
            *event = add(event.clone());
        }
    }

    /// How long the task has been going on.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed_at((self.handle.clock)())
    }

    /// Reports the task with this outcome and the time since it began; returns the event's id.
    ///
    /// Replaces the outcome and the duration that the event may have been given.
    pub fn finish(mut self, outcome: impl Into<Outcome>) -> Uuid {
        self.report((self.handle.clock)(), outcome.into()).unwrap_or_default()
    }

    /// Reports nothing.
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
    use std::{panic, time::SystemTime};

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
        let start = Start { now: clock::now(), wall: SystemTime::UNIX_EPOCH, seed: 7 };
        let (submitter, handle) = Submitter::new(&config.build().unwrap(), start, || {});
        (handle, submitter)
    }

    /// What was reported: outcome, duration and model of each event.
    fn reported(submitter: &mut Submitter) -> Vec<(Outcome, u64, String)> {
        submitter.flush(clock::now());
        let Action::Send(_, delivery) = submitter.poll(clock::now()) else { return Vec::new() };
        let event = delivery.events();
        event.map(|it| (it.outcome.clone(), it.task_duration_ms, it.model.clone())).collect()
    }

    #[test]
    fn a_finished_task_is_reported_once_with_its_time() {
        let (handle, mut submitter) = recorder();
        let event = handle.event().duration_ms(7).outcome(Outcome::Timeout);
        let mut task = handle.begin(event);
        let now = task.began;
        task.record(|event| event.model("m"));
        let id = task.report(now + Duration::from_millis(1_500), Outcome::Success);
        drop(task);
        assert!(id.is_some_and(|id| !id.is_nil()));
        assert_eq!(reported(&mut submitter), [(Outcome::Success, 1_500, "m".to_owned())]);
    }

    #[test]
    fn finish_returns_the_id_that_is_reported() {
        let (handle, mut submitter) = recorder();
        let id = handle.begin(handle.event()).finish(Outcome::Partial);
        submitter.flush(clock::now());
        let Action::Send(_, delivery) = submitter.poll(clock::now()) else { panic!("nothing") };
        assert!(delivery.events().map(|event| event.event_id).eq([id]));
    }

    #[test]
    fn an_unfinished_task_is_reported_as_was_chosen() {
        let (handle, mut submitter) = recorder();
        drop(handle.begin(handle.event().outcome(Outcome::Success)));
        drop(handle.begin(handle.event()).unfinished_as(Outcome::Timeout));
        let outcomes: Vec<_> = reported(&mut submitter).into_iter().map(|it| it.0).collect();
        assert_eq!(outcomes, [Outcome::Failure, Outcome::Timeout]);
    }

    #[test]
    fn a_panic_reports_what_was_known() {
        let (handle, mut submitter) = recorder();
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            let mut task = handle.begin(handle.event().model("early"));
            task.record(|event| event.model("late"));
            task.record(|_| panic::resume_unwind(Box::new("in the middle")));
        }));
        assert!(result.is_err());
        let known = reported(&mut submitter);
        assert_eq!(known.len(), 1);
        assert_eq!((&known[0].0, known[0].2.as_str()), (&Outcome::Failure, "late"));
    }

    #[test]
    fn a_discarded_task_is_not_reported() {
        let (handle, mut submitter) = recorder();
        handle.begin(handle.event()).discard();
        assert_eq!(reported(&mut submitter), []);
    }
}

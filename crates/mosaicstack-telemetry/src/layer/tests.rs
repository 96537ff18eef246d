//! The layer in a registry, with spans as libraries create them.

mod hostile;
mod usage;

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use telemetry_model::{Harness, Price, TaskCompletionEvent, TaskType};
use tracing::{
    Dispatch, Span, debug_span, error,
    field::{Empty, debug},
    info_span, warn,
};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt, registry};

use super::*;
use crate::{
    clock,
    recorder::{self, reported},
    submitter::Submitter,
};

thread_local! {
    /// Time of the handle's clock, since an arbitrary start.
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static START: Instant = clock::now();
}

fn recorder() -> (TelemetryHandle, Submitter) {
    recorder::recorder(|| START.with(|start| *start + ELAPSED.get()))
}

/// The events of a program, with a layer that `set` completes.
fn traced_with(
    set: impl FnOnce(TelemetryLayer) -> TelemetryLayer,
    program: impl FnOnce(),
) -> Vec<TaskCompletionEvent> {
    let (handle, mut submitter) = recorder();
    let layer = set(TelemetryLayer::new(handle));
    tracing::subscriber::with_default(registry().with(layer), program);
    reported(&mut submitter)
}

fn traced(program: impl FnOnce()) -> Vec<TaskCompletionEvent> {
    traced_with(|layer| layer, program)
}

/// The only event of a program.
fn only(program: impl FnOnce()) -> TaskCompletionEvent {
    let events = traced(program);
    let [event] = <[_; 1]>::try_from(events).expect("one event");
    event
}

/// A request as rig declares it. An answer is recorded later.
fn chat(model: &str) -> Span {
    info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = "openai",
        gen_ai.request.model = model,
        gen_ai.response.id = Empty,
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.reasoning_tokens = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    )
}

fn answered(model: &str, input: u64, output: u64) -> Span {
    let span = chat(model);
    span.record("gen_ai.usage.input_tokens", input);
    span.record("gen_ai.usage.output_tokens", output);
    span
}

fn failed() -> Span {
    let span = chat("m");
    span.record("error.type", "429");
    span
}

fn tokens(event: &TaskCompletionEvent) -> (u64, u64) {
    (event.actual_input_tokens, event.actual_output_tokens)
}

#[test]
fn task_is_the_outermost_span_with_the_tokens_of_all_requests() {
    let event = only(|| {
        info_span!("task").in_scope(|| {
            info_span!("attempt").in_scope(|| drop(answered("small", 1_000, 50)));
            drop(answered("large", 20_000, 700));
            drop(info_span!("tool", gen_ai.operation.name = "execute_tool"));
            drop(answered("small", 300, 2));
        });
    });
    assert_eq!(tokens(&event), (21_300, 752));
    assert_eq!((event.model.as_str(), event.provider), ("large", Provider::Openai));
    assert_eq!((event.outcome, event.retry_count), (Outcome::Success, 0));
    assert_eq!(event.actual_cost_usd_micros, 0);
}

#[test]
fn request_without_a_parent_is_a_task() {
    let events = traced(|| {
        drop(answered("m", 1, 2));
        info_span!("request").in_scope(|| drop(answered("m", 3, 4)));
    });
    assert_eq!(events.iter().map(tokens).collect::<Vec<_>>(), [(1, 2), (3, 4)]);
}

#[test]
fn program_without_requests_reports_nothing() {
    let events = traced(|| {
        info_span!("task").in_scope(|| {
            let _inner = info_span!("inner", error.type = "e").entered();
            drop(info_span!("tool", gen_ai.operation.name = "execute_tool", error.type = "e"));
            drop(info_span!("named", gen_ai.agent.name = "a", gen_ai.usage.input_tokens = Empty));
            error!(error = "e");
        });
    });
    assert_eq!(events, []);
}

#[test]
fn outcome_is_that_of_the_task_or_of_its_last_request() {
    type Step = fn(&Span);
    let ok: Step = |_| drop(answered("m", 1, 1));
    let refused: Step = |_| drop(failed());
    let unanswered: Step = |_| drop(chat("m")); // as rig leaves a request that failed
    let not_declared: Step = |_| drop(info_span!("chat", gen_ai.request.model = "m"));
    let error: Step = |task| {
        task.record("error.type", "timeout");
    };
    let status_ok: Step = |task| {
        task.record("otel.status_code", "OK");
    };
    let status_error: Step = |task| {
        task.record("otel.status_code", "ERROR");
    };
    let formatted: Step = |task| {
        task.record("otel.status_code", debug("Error"));
    };
    let returned: Step = |_| error!(error = "e");
    let logged: Step = |_| {
        error!(error = "e", "to be retried");
        warn!(error = "e");
    };
    let returned_within: Step = |_| info_span!("inner").in_scope(|| error!(error = "e"));
    for (steps, outcome, retries) in [
        (&[ok][..], Outcome::Success, 0),
        (&[not_declared], Outcome::Success, 0),
        (&[refused], Outcome::Failure, 0),
        (&[unanswered], Outcome::Failure, 0),
        (&[refused, unanswered, ok, ok], Outcome::Success, 2),
        (&[ok, refused, refused, refused], Outcome::Failure, 2),
        (&[ok, error], Outcome::Failure, 0),
        (&[refused, ok, error], Outcome::Failure, 1),
        (&[ok, status_error], Outcome::Failure, 0),
        (&[ok, formatted], Outcome::Failure, 0),
        (&[refused, status_ok], Outcome::Success, 0),
        (&[error, ok, status_ok], Outcome::Success, 0),
        (&[ok, returned], Outcome::Failure, 0),
        (&[logged, returned_within, ok], Outcome::Success, 0),
    ] {
        let event = only(|| {
            let task = info_span!("task", error.type = Empty, otel.status_code = Empty);
            task.in_scope(|| steps.iter().for_each(|step| step(&task)));
        });
        assert_eq!((event.outcome, event.retry_count), (outcome, retries), "{}", steps.len());
    }
}

#[test]
fn agent_that_fails_after_its_requests_is_a_failed_attempt() {
    let agent = |fails: bool| {
        let span = info_span!(
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            error.type = fails.then_some("e")
        );
        span.in_scope(|| drop(answered("m", 1, 1)));
    };
    for (agents, outcome, retries) in [
        (&[true, false][..], Outcome::Success, 1),
        (&[false, true], Outcome::Failure, 0),
        (&[true, true], Outcome::Failure, 1),
    ] {
        let event = only(|| info_span!("task").in_scope(|| agents.iter().copied().for_each(agent)));
        assert_eq!((event.outcome, event.retry_count), (outcome, retries), "{agents:?}");
    }
}

#[test]
fn duration_is_that_of_the_span() {
    let wait = |millis| ELAPSED.set(ELAPSED.get() + Duration::from_millis(millis));
    let event = only(|| {
        wait(5);
        let task = info_span!("task");
        wait(20);
        let request = task.in_scope(|| answered("m", 1, 1));
        drop(task);
        wait(300); // a span stays open until those within it have closed
        drop(request);
        wait(4_000);
    });
    assert_eq!(event.task_duration_ms, 320);
}

#[test]
fn only_chosen_spans_are_tasks_and_the_outermost_of_them() {
    let program = || {
        info_span!("main").in_scope(|| {
            drop(answered("m", 1, 0));
            for input in [10, 100] {
                info_span!("task").in_scope(|| {
                    drop(answered("m", input, 0));
                    info_span!("task").in_scope(|| drop(answered("m", input, 0)));
                });
            }
        });
    };
    let inputs = |is_task: fn(&Metadata<'_>) -> bool| -> Vec<u64> {
        let events = traced_with(|layer| layer.with_task_spans(is_task), program);
        events.iter().map(|event| event.actual_input_tokens).collect()
    };
    assert_eq!(inputs(|_| true), [221]);
    assert_eq!(inputs(|span| span.name() != "main"), [1, 20, 200]);
    assert_eq!(inputs(|span| span.name() == "task"), [20, 200]);
    assert_eq!(
        inputs(|span| span.fields().field("gen_ai.request.model").is_some()),
        [1, 10, 10, 100, 100]
    );
    assert_eq!(inputs(|_| false), [0; 0]);
}

#[test]
fn spans_that_a_filter_hides_from_the_layer_are_no_tasks() {
    let (handle, mut submitter) = recorder();
    let layer = TelemetryLayer::new(handle).with_filter(LevelFilter::INFO);
    let all = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    tracing::subscriber::with_default(registry().with(layer).with(all), || {
        debug_span!("hidden").in_scope(|| {
            info_span!("task").in_scope(|| {
                debug_span!("hidden").in_scope(|| drop([answered("m", 1, 0), answered("m", 2, 0)]));
            });
        });
    });
    let inputs: Vec<_> = reported(&mut submitter).iter().map(tokens).collect();
    assert_eq!(inputs, [(3, 0)]);
}

#[test]
fn event_is_completed_from_the_task() {
    let complete = |event: EventBuilder, task: &TracedTask<'_>| {
        assert_eq!((task.span.name(), task.model), ("review", "m"));
        assert_eq!(task.usage, Usage::of_totals(1_000, 0, 0, 100, 0));
        let event = event.price(Price::usd_per_million(3.0, 15.0)).outcome(Outcome::Partial);
        event.task_type(TaskType::CodeReview).harness(Harness::Aider)
    };
    let events = traced_with(
        |layer| layer.with_event(complete),
        || info_span!("review").in_scope(|| drop(answered("m", 1_000, 100))),
    );
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&event.task_type, &event.harness), (&TaskType::CodeReview, &Harness::Aider));
    assert_eq!((&event.outcome, event.actual_cost_usd_micros), (&Outcome::Partial, 4_500));
}

#[test]
fn span_that_closes_after_the_client_is_counted_as_dropped() {
    let (handle, _submitter) = recorder();
    let dispatch = Dispatch::new(registry().with(TelemetryLayer::new(handle.clone())));
    let span = tracing::dispatcher::with_default(&dispatch, || answered("m", 1, 1));
    handle.shutdown(Duration::ZERO);
    drop(span);
    let stats = handle.stats();
    assert_eq!((stats.tracked, stats.dropped.closed, stats.panics), (1, 1, 0));
}

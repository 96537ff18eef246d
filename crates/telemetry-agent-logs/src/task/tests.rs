use super::*;
use crate::harness::testing::{Scripted, turn};

fn task(mut turn: Turn) -> Task {
    // Each input token of "cheap" costs 1 microdollar, each of "dear" 10; others have no price.
    let price = |_: &Provider, model: &str, _: i64, usage: &Usage| match model {
        "cheap" => Some(usage.input),
        "dear" => Some(usage.input * 10),
        _ => None,
    };
    set_costs(&mut turn, &Scripted, &price);
    Task::of(turn, &Scripted)
}

#[test]
fn outcome_needs_evidence() {
    use Status::{Failed, Passed};
    for (end, last_gate, expected) in [
        (End::Stopped, None, None),
        (End::Unmarked, None, None),
        (End::Stopped, Some(Passed), Some(Outcome::Success)),
        (End::Unmarked, Some(Passed), Some(Outcome::Success)),
        (End::Stopped, Some(Failed), Some(Outcome::Partial)),
        (End::Interrupted, Some(Passed), Some(Outcome::Partial)),
        (End::InToolCall, Some(Passed), Some(Outcome::Partial)),
        (End::Failed, Some(Passed), Some(Outcome::Failure)),
        (End::TimedOut, None, Some(Outcome::Timeout)),
    ] {
        let task = Task { end, last_gate, ..task(turn("a", 0, &[])) };
        assert_eq!(task.outcome(), expected, "{end:?} {last_gate:?}");
    }
}

#[test]
fn model_is_the_costliest_of_the_main_loop_and_an_unknown_one_has_no_cost() {
    for (requests, model, cost) in [
        (&[("cheap", 50), ("dear", 6)][..], "dear", Some(110)),
        (&[("cheap", 50), ("dear", 4)], "cheap", Some(90)),
        (&[("cheap", 50), ("other", 60)], "other", None),
        (&[("other", 0), ("cheap", 5)], "cheap", Some(5)),
    ] {
        let task = task(turn("a", 0, requests));
        assert_eq!((task.labels.model.as_str(), task.cost()), (model, cost), "{requests:?}");
    }
    let mut by_helper = turn("a", 0, &[("cheap", 1), ("dear", 9)]);
    by_helper.requests[1].is_main_loop = false;
    assert_eq!(task(by_helper.clone()).labels.model, "cheap");
    by_helper.requests.remove(0);
    assert_eq!(task(by_helper).labels.model, "dear");
}

#[test]
fn cost_of_the_log_takes_precedence() {
    let mut turn = turn("a", 0, &[("other", 9)]);
    turn.requests[0].cost_microdollars = Some(7);
    assert_eq!(task(turn).cost(), Some(7));
}

#[test]
fn context_is_that_of_the_last_request_of_the_main_loop() {
    let mut turn = turn("a", 0, &[("cheap", 900), ("cheap", 500), ("dear", 800)]);
    turn.requests[2].is_main_loop = false;
    turn.context_window = Some(1_000);
    assert_eq!(task(turn).utilization, 0.5);
}

#[test]
fn event_has_the_figures_and_nothing_of_the_project() {
    let mut turn = turn("secret-key", 1_000, &[("claude-sonnet-4-5", 30)]);
    turn.project = Some("secret-project".into());
    turn.edits = [("rs".to_owned(), 2)].into();
    let task = task(turn);
    let instance = Uuid::from_u128(7);
    let event = task.event(instance, Outcome::Success).build();
    assert_eq!((event.actual_input_tokens, event.task_duration_ms), (30, 1_000));
    assert_eq!(event.language.as_deref(), Some("rust"));
    assert_eq!(event.provider, Provider::Anthropic);
    let mut json = Vec::new();
    event.write_json(&mut json);
    assert!(!String::from_utf8(json).unwrap().contains("secret"));

    let again = task.event(instance, Outcome::Failure).build();
    assert_eq!(event.event_id, again.event_id);
    assert_ne!(task.event_id(Uuid::from_u128(8)), event.event_id);
}

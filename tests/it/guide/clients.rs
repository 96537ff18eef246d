//! Synchronous and asynchronous usage, and the integration examples.

use std::{future::ready, panic, sync::Arc, thread, time::Duration};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, ConfigError, ContextWindow, Cost, Harness, Outcome, Provider,
    Quality, QualityGate, RepoSizeCategory, Request, TaskCompletionEvent, TaskType,
    TelemetryClient, TelemetryConfig, TelemetryHandle, Tokens,
};
use telemetry_collector::Answer;
use telemetry_tests::{INSTANCE, KEY, config, status, track};
use tokio::{runtime, sync::mpsc, task, time::Instant};

use super::{
    API_KEY, INSTANCE_ID, SERVER_URL, async_client, on_tokio, predictions::guide_queries, ran_alone,
};
use crate::{
    blocking::{AMPLE, client, collector, eager, returned},
    wire::guide_event,
};

#[test]
fn the_sync_example_delivers_its_event() {
    let collector = collector();
    let client = client(&collector);
    let event = guide_event();
    client.track(event.clone());
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.pending), (1, 0));
    assert_eq!(collector.events(), [event]);
}

#[test]
fn track_does_not_wait_for_the_server() {
    let collector = collector();
    collector.script([Answer::never()]);
    let config = eager(collector.url()).request_timeout(5 * AMPLE).shutdown_timeout(Duration::ZERO);
    let client = TelemetryClient::start(config.build().unwrap());
    let handle = client.handle();
    track(&handle, 100);
    assert!(collector.wait_for(AMPLE, |totals| totals.requests == 1), "one is under way");
    returned(move || track(&handle, 500));
    assert_eq!(client.stats().pending, 600);
}

#[test]
fn a_scope_that_panics_still_delivers() {
    let collector = collector();
    let client = client(&collector);
    let scope = thread::spawn(move || {
        track(&client.handle(), 3);
        panic::resume_unwind(Box::new("in the middle of the client's scope"));
    });
    assert!(scope.join().is_err());
    assert_eq!(collector.totals().accepted, 3);
}

#[test]
fn the_async_example_delivers_its_event() {
    on_tokio(|| async {
        let collector = collector();
        let client = async_client(&collector);
        let event = guide_event();
        client.track(event.clone());
        let stats = client.stop().await;
        assert_eq!((stats.delivered, stats.pending), (1, 0));
        assert_eq!(collector.events(), [event]);
    });
}

#[tokio::test]
async fn the_async_client_is_a_task_until_it_is_stopped() {
    let tasks = || runtime::Handle::current().metrics().num_alive_tasks();
    let config = config("https://example.com").build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, |_| ready(Ok(status(200))));
    assert_eq!(tasks(), 1);
    client.stop().await;
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_task_sends_each_interval() {
    let (sender, mut sent) = mpsc::unbounded_channel();
    let start = Instant::now();
    let transport = move |_: Request| {
        sender.send(start.elapsed().as_secs()).expect("the test goes on");
        ready(Ok(status(200)))
    };
    let config = config("https://example.com").build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, transport);
    for seconds in [300, 600, 900] {
        client.track(client.event().build());
        assert_eq!(sent.recv().await, Some(seconds));
    }
}

#[test]
fn dropping_the_async_client_drains_in_the_background() {
    on_tokio(|| async {
        let collector = Arc::new(collector());
        let client = async_client(&collector);
        track(&client.handle(), 3);
        drop(client);
        let drained = move || collector.wait_for(AMPLE, |totals| totals.accepted == 3);
        assert!(task::spawn_blocking(drained).await.unwrap());
    });
}

#[test]
fn track_is_synchronous_in_both_clients() {
    let _: fn(&TelemetryClient, TaskCompletionEvent) = TelemetryClient::track;
    let track: fn(&AsyncTelemetryClient, TaskCompletionEvent) = AsyncTelemetryClient::track;
    on_tokio(|| async move {
        let collector = collector();
        let client = &async_client(&collector);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || track(client, client.event().build()));
            }
        });
        client.flush(AMPLE).await.unwrap();
        assert_eq!(collector.totals().accepted, 4);
    });
}

#[test]
fn both_clients_send_the_same() {
    let collector = collector();
    let (event, queries) = (guide_event(), guide_queries());
    let client = client(&collector);
    client.track(event.clone());
    client.refresh_predictions(&queries).unwrap();
    client.stop();
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = async_client(&collector);
        client.track(event);
        client.refresh_predictions(&queries).await.unwrap();
        client.stop().await;
    });
    let requests = collector.requests().into_iter();
    let sent: Vec<_> =
        requests.map(|it| (it.method, it.path, it.headers, it.authorization, it.body)).collect();
    assert_eq!(sent.len(), 4);
    assert_eq!(sent[..2], sent[2..]);
}

/// The guide's `POST /tasks/complete`, which is told words and numbers.
fn complete_task(telemetry: &TelemetryHandle, [task, model, outcome]: [&str; 3], micros: u64) {
    let passed = outcome == "success";
    let event = telemetry
        .event()
        .task_type(task)
        .model(model)
        .outcome(outcome)
        .cost(Cost { actual: micros, ..Cost::default() })
        .quality(Quality { passed, gates_run: vec![QualityGate::Build], ..Quality::default() });
    telemetry.track(event.build());
}

#[test]
fn a_service_reports_the_words_it_is_told() {
    on_tokio(|| async {
        let collector = collector();
        let telemetry = async_client(&collector);
        for words in [["implementation", "m", "success"], ["gardening", "m", "rained off"]] {
            let handle = telemetry.handle();
            task::spawn(async move { complete_task(&handle, words, 919_200) }).await.unwrap();
        }
        telemetry.stop().await;
        let [known, unknown] = &collector.events()[..] else { panic!("there are two") };
        assert_eq!(known.task_type, TaskType::Implementation);
        assert_eq!((&known.outcome, known.quality_gate_passed), (&Outcome::Success, true));
        assert_eq!(known.actual_cost_usd_micros, 919_200);
        assert_eq!(unknown.task_type.as_str(), "gardening");
        assert_eq!((unknown.outcome.as_str(), unknown.quality_gate_passed), ("rained off", false));
    });
}

/// The guide's script; returns what it prints.
fn script() -> Result<String, ConfigError> {
    let client = TelemetryClient::start(TelemetryConfig::from_env()?);
    let event = client
        .event()
        .task_type(TaskType::Implementation)
        .model("claude-sonnet-4-5-20250929")
        .provider(Provider::Anthropic)
        .harness(Harness::Aider)
        .complexity(Complexity::Medium)
        .outcome("success")
        .tokens(Tokens { actual_in: 4_500, actual_out: 1_800, ..Tokens::default() })
        .context(ContextWindow { utilization: 0.35, ..ContextWindow::default() })
        .repo_size(RepoSizeCategory::Medium)
        .build();
    let says = format!("Tracked task: {}", event.event_id);
    client.track(event);
    Ok(says) // delivered here, since the client is dropped
}

#[test]
fn a_script_that_its_environment_configures_reports_as_it_ends() {
    let test =
        concat!(module_path!(), "::a_script_that_its_environment_configures_reports_as_it_ends");
    let collector = collector();
    let variables = [(SERVER_URL, collector.url()), (API_KEY, KEY), (INSTANCE_ID, INSTANCE)];
    if !ran_alone(test, &variables) {
        assert!(script().unwrap().starts_with("Tracked task: "));
        return;
    }
    let [event] = &collector.events()[..] else { panic!("there is one") };
    assert_eq!(event.instance_id.to_string(), INSTANCE);
    assert_eq!((event.actual_input_tokens, event.context_utilization_final), (4_500, 0.35));
    assert_eq!(event.repo_size_category, Some(RepoSizeCategory::Medium));
}

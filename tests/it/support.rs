//! Helpers of several modules.

use std::{
    any, env,
    process::Command,
    sync::{
        Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, PredictionQuery, Provider, RetryPolicy, TaskType,
    TelemetryConfigBuilder,
};
use telemetry_collector::Collector;
use telemetry_tests::config;
use uuid::Uuid;

use crate::client::{Client, Kind};

/// Far beyond the duration of any test.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// URL of no server. Not a free port: another test could open it.
pub(crate) const ABSENT: &str = "http://127.0.0.1:1";

/// A collector without rules.
pub(crate) fn collector() -> Collector {
    Collector::start().expect("loopback can be bound")
}

/// A configuration with almost no backoff.
pub(crate) fn eager(url: &str) -> TelemetryConfigBuilder {
    let initial_backoff = Duration::from_millis(1);
    let policy = RetryPolicy { initial_backoff, ..RetryPolicy::default() };
    config(url).retry_policy(policy).shutdown_timeout(AMPLE)
}

/// A client of either kind with almost no backoff.
pub(crate) fn start(kind: Kind, collector: &Collector) -> Client {
    Client::start(kind, eager(collector.url()).build().expect("a valid configuration"))
}

/// Ids of the events that the collector holds.
pub(crate) fn ids(collector: &Collector) -> Vec<Uuid> {
    collector.events().iter().map(|event| event.event_id).collect()
}

/// The result of `call`; fails where a plain call would hang.
pub(crate) fn returned<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(AMPLE).expect("the call returns")
}

/// A client on tokio with almost no backoff.
pub(crate) fn async_client(collector: &Collector) -> AsyncTelemetryClient {
    AsyncTelemetryClient::start(eager(collector.url()).build().expect("a valid configuration"))
}

/// A function that reports each call, and blocks until the sender is dropped.
pub(crate) fn stuck() -> (impl Fn() + Send + Sync + 'static, Receiver<()>, Sender<()>) {
    let (called, calls) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let block = move || {
        let _ = called.send(());
        let _ = released.lock().map(|released| released.recv());
    };
    (block, calls, release)
}

pub(crate) fn query(number: usize) -> PredictionQuery {
    let model = format!("model-{number}");
    PredictionQuery::new(TaskType::Testing, model, Provider::Openai, Complexity::Low)
}

/// Runs this test in another process with these variables, fails unless it passes, and returns its
/// output; in that process, returns `None`.
pub(crate) fn run_alone<T: Fn()>(test: T, variables: &[(&str, &str)]) -> Option<String> {
    const ALONE: &str = "TELEMETRY_TESTS_ALONE";
    if env::var_os(ALONE).is_some() {
        return None;
    }
    let (_, test) = any::type_name_of_val(&test).split_once("::").expect("a path");
    let mut command = Command::new(env::current_exe().expect("the path of this program"));
    command.args(["--exact", test, "--test-threads=1", "--nocapture"]);
    for name in ["SERVER_URL", "API_KEY", "INSTANCE_ID", "ENABLED"] {
        command.env_remove(format!("MOSAIC_TELEMETRY_{name}"));
    }
    command.env_remove("DO_NOT_TRACK");
    command.env(ALONE, "1").envs(variables.iter().copied());
    let output = command.output().expect("this program starts");
    let text = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    let text = text.concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    Some(text)
}

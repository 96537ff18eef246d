//! The promises of the Python SDK's guide, in its order: a test each, for those that no other test
//! shows. `docs/promises.md` lists them all.

mod clients;
mod configuration;
mod errors;
mod events;
mod modes;
mod predictions;

use std::{env, future::Future, process::Command};

use mosaicstack_telemetry::AsyncTelemetryClient;
use telemetry_collector::Collector;
use tokio::runtime::Builder;

use crate::blocking::eager;

const SERVER_URL: &str = "MOSAIC_TELEMETRY_SERVER_URL";
const API_KEY: &str = "MOSAIC_TELEMETRY_API_KEY";
const INSTANCE_ID: &str = "MOSAIC_TELEMETRY_INSTANCE_ID";
const ENABLED: &str = "MOSAIC_TELEMETRY_ENABLED";

/// Runs a program's `async fn main` on each kind of runtime.
fn on_tokio<F: Future<Output = ()>>(main: impl Fn() -> F) {
    for mut runtime in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(main());
    }
}

/// An asynchronous client of the collector that hardly waits between attempts.
fn async_client(collector: &Collector) -> AsyncTelemetryClient {
    AsyncTelemetryClient::start(eager(collector.url()).build().expect("a configuration"))
}

/// Runs the test of that path again, in a process of its own with these variables, and fails unless
/// it passes there. In that process, returns false at once.
fn ran_alone(test: &str, variables: &[(&str, &str)]) -> bool {
    said_alone(test, variables).is_some()
}

/// As [`ran_alone`], but says what the test has written to standard output and standard error; none
/// in that process.
pub(crate) fn said_alone(test: &str, variables: &[(&str, &str)]) -> Option<String> {
    const ALONE: &str = "TELEMETRY_TESTS_ALONE";
    if env::var_os(ALONE).is_some() {
        return None;
    }
    let (_, test) = test.split_once("::").expect("a test is in a module");
    let program = env::current_exe().expect("a test is in a program");
    let mut command = Command::new(program);
    command.args(["--exact", test, "--test-threads=1", "--nocapture"]);
    for name in [SERVER_URL, API_KEY, INSTANCE_ID, ENABLED] {
        command.env_remove(name);
    }
    command.env(ALONE, "1").envs(variables.iter().copied());
    let output = command.output().expect("it can be run again");
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    let said = said.concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    Some(said)
}

//! Promises of the Python SDK's integration guide, in modules named after its sections; those that
//! tests of one part show are not repeated.

mod api_compatibility;
mod configuration;
mod disabling_telemetry;
mod error_handling;
mod integration_examples;
mod querying_predictions;
mod usage;

use std::{env, process::Command};

use mosaicstack_telemetry::AsyncTelemetryClient;
use telemetry_collector::Collector;

pub(crate) use self::querying_predictions::guide_queries;
use crate::blocking::eager;

const SERVER_URL: &str = "MOSAIC_TELEMETRY_SERVER_URL";
const API_KEY: &str = "MOSAIC_TELEMETRY_API_KEY";
const INSTANCE_ID: &str = "MOSAIC_TELEMETRY_INSTANCE_ID";
const ENABLED: &str = "MOSAIC_TELEMETRY_ENABLED";

/// A client on tokio with almost no backoff.
fn async_client(collector: &Collector) -> AsyncTelemetryClient {
    AsyncTelemetryClient::start(eager(collector.url()).build().expect("a valid configuration"))
}

/// Runs the test of that path in another process with these variables, fails unless it passes, and
/// returns its output; in that process, returns `None`.
pub(crate) fn said_alone(test: &str, variables: &[(&str, &str)]) -> Option<String> {
    const ALONE: &str = "TELEMETRY_TESTS_ALONE";
    if env::var_os(ALONE).is_some() {
        return None;
    }
    let (_, test) = test.split_once("::").expect("the path of a test has a module");
    let program = env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.args(["--exact", test, "--test-threads=1", "--nocapture"]);
    for name in [SERVER_URL, API_KEY, INSTANCE_ID, ENABLED] {
        command.env_remove(name);
    }
    command.env(ALONE, "1").envs(variables.iter().copied());
    let output = command.output().expect("this program starts");
    let text = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    let text = text.concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    Some(text)
}

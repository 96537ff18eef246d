//! Configuration.

use std::time::Duration;

use mosaicstack_telemetry::TelemetryConfig;
use telemetry_tests::{INSTANCE, KEY, Log, Simulation, track};

use super::{API_KEY, INSTANCE_ID};

const URL: &str = "https://tel-api.mosaicstack.dev";

#[test]
fn development_example_logs_within_ten_seconds_and_sends_nothing() {
    let log = Log::new();
    let config = TelemetryConfig::builder()
        .server_url("http://localhost:8000")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .dry_run(true)
        .submit_interval(Duration::from_secs(10))
        .build()
        .unwrap();
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 1);
    for (seconds, logged) in [(0, 0), (10, 1)] {
        simulation.run_until(Duration::from_secs(seconds), |_| panic!("nothing to send"));
        assert_eq!(log.lines("[DRY RUN]").len(), logged);
    }
}

#[test]
fn production_example_equals_the_defaults() {
    let config = TelemetryConfig::builder()
        .server_url(URL)
        .submit_interval(Duration::from_secs(300))
        .max_retries(3);
    let environment = |name: &str| match name {
        API_KEY => Some(KEY.into()),
        INSTANCE_ID => Some(INSTANCE.into()),
        _ => None,
    };
    let config = config.with_vars(environment).build().unwrap();
    let default = telemetry_tests::config(URL).interval_jitter(true).build().unwrap();
    assert_eq!(format!("{config:?}"), format!("{default:?}"));
}

//! Configuration.

use std::time::Duration;

use mosaicstack_telemetry::{ConfigError, TelemetryConfig, TelemetryConfigBuilder};
use telemetry_tests::{INSTANCE, KEY, Log, Simulation, config, track};

use super::{API_KEY, ENABLED, INSTANCE_ID, SERVER_URL};

const URL: &str = "https://tel-api.mosaicstack.dev";

/// Builds in an environment of these variables.
fn build(
    builder: TelemetryConfigBuilder,
    variables: &[(&str, &str)],
) -> Result<TelemetryConfig, ConfigError> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    builder.with_vars(variable).build()
}

#[test]
fn each_environment_variable_sets_its_parameter() {
    let all = [(SERVER_URL, URL), (API_KEY, KEY), (INSTANCE_ID, INSTANCE)];
    let config = build(TelemetryConfig::builder(), &all).unwrap();
    assert_eq!(config.server_url().unwrap().as_str(), URL);
    assert_eq!(config.instance_id().to_string(), INSTANCE);
    for (name, _) in all {
        let others: Vec<_> = all.into_iter().filter(|(other, _)| *other != name).collect();
        let error = build(TelemetryConfig::builder(), &others).unwrap_err();
        assert_eq!(error.faults().len(), 1, "{error}");
        assert!(error.faults()[0].message.contains(name), "{error}");
    }
    for (switch, is_enabled) in [("true", true), ("false", false)] {
        let config = build(TelemetryConfig::builder(), &[&all[..], &[(ENABLED, switch)]].concat());
        assert_eq!(config.unwrap().is_enabled(), is_enabled);
    }
}

#[test]
fn code_takes_precedence_over_the_environment() {
    let environment =
        [(SERVER_URL, "nowhere"), (API_KEY, "none"), (INSTANCE_ID, "none"), (ENABLED, "false")];
    let config = build(config(URL).enabled(true), &environment).unwrap();
    assert!(config.is_enabled());
    assert_eq!(config.server_url().unwrap().as_str(), URL);
    assert_eq!(config.instance_id().to_string(), INSTANCE);
}

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
    let config = build(config, &[(API_KEY, KEY), (INSTANCE_ID, INSTANCE)]).unwrap();
    let default = telemetry_tests::config(URL).interval_jitter(true).build().unwrap();
    assert_eq!(format!("{config:?}"), format!("{default:?}"));
}

//! Configuration.

use std::time::Duration;

use mosaicstack_telemetry::{ConfigError, TelemetryConfig, TelemetryConfigBuilder};
use telemetry_tests::{INSTANCE, KEY, Log, Simulation, config, track};

use super::{API_KEY, ENABLED, INSTANCE_ID, SERVER_URL};

const URL: &str = "https://tel-api.mosaicstack.dev";

/// Builds with an environment of these variables.
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
fn the_api_key_is_64_hexadecimal_characters() {
    for good in ["a".repeat(64), "0123456789abcdefABCDEF0123456789".repeat(2)] {
        assert!(config(URL).api_key(good).build().is_ok());
    }
    for bad in ["".into(), "a".repeat(63), "a".repeat(65), "g".repeat(64)] {
        let error = config(URL).api_key(bad).build().unwrap_err();
        assert_eq!(error.issues()[0].parameter, "api_key");
        assert!(error.to_string().contains("expected 64 hexadecimal characters"), "{error}");
    }
}

#[test]
fn the_instance_id_is_a_uuid() {
    let config = config(URL).instance_id("a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d");
    let id = config.clone().build().unwrap().instance_id();
    assert_eq!(id.to_string(), "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d");
    let error = config.instance_id("my laptop").build().unwrap_err();
    assert_eq!(error.issues()[0].parameter, "instance_id");
    assert!(error.to_string().contains("expected a UUID"), "{error}");
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
        assert_eq!(error.issues().len(), 1, "{error}");
        assert!(error.issues()[0].message.contains(name), "{error}");
    }
    for (switch, is_enabled) in [("true", true), ("false", false)] {
        let config = build(TelemetryConfig::builder(), &[&all[..], &[(ENABLED, switch)]].concat());
        assert_eq!(config.unwrap().is_enabled(), is_enabled);
    }
}

#[test]
fn what_is_set_in_code_comes_before_the_environment() {
    let environment =
        [(SERVER_URL, "nowhere"), (API_KEY, "none"), (INSTANCE_ID, "nobody"), (ENABLED, "false")];
    let config = build(config(URL).enabled(true), &environment).unwrap();
    assert!(config.is_enabled());
    assert_eq!(config.server_url().unwrap().as_str(), URL);
    assert_eq!(config.instance_id().to_string(), INSTANCE);
}

#[test]
fn the_development_configuration_logs_within_ten_seconds_and_sends_nothing() {
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
        simulation.run_until(Duration::from_secs(seconds), |_| panic!("there is nothing to send"));
        assert_eq!(log.lines("[DRY RUN]").len(), logged);
    }
}

#[test]
fn the_production_configuration_is_the_default_one() {
    let config = TelemetryConfig::builder()
        .server_url(URL)
        .submit_interval(Duration::from_secs(300))
        .max_retries(3);
    let config = build(config, &[(API_KEY, KEY), (INSTANCE_ID, INSTANCE)]).unwrap();
    let default = telemetry_tests::config(URL).interval_jitter(true).build().unwrap();
    assert_eq!(format!("{config:?}"), format!("{default:?}"));
}

//! Configuration.

use std::time::Duration;

use mosaicstack_telemetry::{TelemetryConfig, TelemetryConfigBuilder};
use telemetry_tests::{INSTANCE, KEY, Log};

use super::{API_KEY, INSTANCE_ID};

const URL: &str = "https://tel-api.mosaicstack.dev";

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

#[test]
fn telemetry_that_the_environment_turns_off_is_logged_at_debug() {
    type Build = fn(TelemetryConfigBuilder) -> bool;
    let cases: [(&str, Build, &str); 2] = [
        ("", |it| it.build_if_set().unwrap().is_enabled(), "sets no MOSAIC_TELEMETRY_* variable"),
        ("DO_NOT_TRACK", |it| it.build().unwrap().is_enabled(), "sets DO_NOT_TRACK"),
    ];
    for (variable, build, reason) in cases {
        let log = Log::new();
        let environment = |name: &str| (name == variable).then(|| "1".to_owned());
        assert!(!build(TelemetryConfig::builder().with_vars(environment)));
        let lines = log.lines("");
        assert!(lines.len() == 1 && lines[0].starts_with("DEBUG"), "{lines:?}");
        assert!(lines[0].ends_with(reason), "{lines:?}");
    }
}

//! Configuration.

use std::time::Duration;

use mosaicstack_telemetry::TelemetryConfig;
use telemetry_tests::{INSTANCE, KEY};

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

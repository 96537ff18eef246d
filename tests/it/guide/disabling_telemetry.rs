//! Disabling telemetry.

use mosaicstack_telemetry::{AsyncTelemetryClient, TelemetryConfig};
use tokio::runtime::Handle;

use crate::support::AMPLE;

#[cfg(target_os = "linux")]
#[test]
fn telemetry_disabled_by_the_environment_has_no_thread() {
    use mosaicstack_telemetry::TelemetryClient;
    use telemetry_tests::{config, track};

    let test = telemetry_disabled_by_the_environment_has_no_thread;
    if crate::support::run_alone(test, &[(super::ENABLED, "false")]).is_some() {
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    let client = TelemetryClient::start(TelemetryConfig::from_env().unwrap());
    track(&client.handle(), 1_000);
    assert_eq!(threads(), before);
    assert_eq!(client.stop().dropped.disabled, 1_000);
    let _enabled = TelemetryClient::start(config("https://example.com").build().unwrap());
    assert_eq!(threads(), before + 1);
}

#[tokio::test]
async fn disabled_telemetry_has_no_task() {
    let config = TelemetryConfig::builder().enabled(false).build().unwrap();
    let client = AsyncTelemetryClient::start(config);
    client.track(client.event().build());
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    client.flush(AMPLE).await.unwrap();
    assert_eq!(client.stop().await.dropped.disabled, 1);
}

//! Dry run, telemetry that is off, and what is requested at all.

use std::collections::BTreeSet;

use mosaicstack_telemetry::{AsyncTelemetryClient, Request, Response, TelemetryConfig};
use telemetry_collector::Answer;
use telemetry_tests::{Log, config, track};
use tokio::runtime::Handle;

use super::{async_client, on_tokio, predictions::guide_queries};
use crate::blocking::{AMPLE, client, collector};

#[tokio::test]
async fn a_dry_run_of_the_async_client_logs_and_sends_nothing() {
    let log = Log::new();
    let config = config("https://tel-api.mosaicstack.dev").dry_run(true).build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, untouched);
    client.track(client.event().build());
    let stats = client.stop().await;
    assert_eq!((stats.dropped.dry_run, stats.panics), (1, 0));
    assert_eq!(
        log.lines("[DRY RUN]"),
        ["INFO mosaicstack_telemetry: [DRY RUN] Would submit batch of 1 events to \
          https://tel-api.mosaicstack.dev/v1/events/batch"]
    );
}

async fn untouched(_: Request) -> Result<Response, mosaicstack_telemetry::TransportError> {
    panic!("there is nothing to send")
}

#[cfg(target_os = "linux")]
#[test]
fn telemetry_that_the_environment_disables_has_no_thread() {
    use mosaicstack_telemetry::TelemetryClient;

    let test = concat!(module_path!(), "::telemetry_that_the_environment_disables_has_no_thread");
    if super::ran_alone(test, &[(super::ENABLED, "false")]) {
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
    let client = AsyncTelemetryClient::with_transport(config, untouched);
    client.track(client.event().build());
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    client.flush(AMPLE).await.unwrap();
    assert_eq!(client.stop().await.dropped.disabled, 1);
}

#[test]
fn only_two_endpoints_are_requested() {
    let collector = collector();
    let script = || [503, 200, 429, 400].map(Answer::status);
    let queries = guide_queries();
    collector.script(script());
    let client = client(&collector);
    track(&client.handle(), 150);
    let _ = client.refresh_predictions(&queries);
    client.stop();
    on_tokio(|| async {
        collector.script(script());
        let client = async_client(&collector);
        track(&client.handle(), 150);
        let _ = client.refresh_predictions(&queries).await;
        client.stop().await;
    });
    let requests = collector.requests();
    assert!(requests.len() > 12);
    let asked: BTreeSet<_> = requests.iter().map(|it| (it.method.as_str(), &*it.path)).collect();
    let endpoints = [("POST", "/v1/events/batch"), ("POST", "/v1/predictions/batch")];
    assert_eq!(asked, BTreeSet::from(endpoints));
}

//! Dry-run mode.

use mosaicstack_telemetry::{AsyncTelemetryClient, Request, Response, TransportError};
use telemetry_tests::{Log, config};

#[tokio::test]
async fn dry_run_of_the_async_client_logs_batches_and_sends_nothing() {
    async fn unused(_: Request) -> Result<Response, TransportError> {
        panic!("nothing to send")
    }
    let log = Log::new();
    let config = config("https://tel-api.mosaicstack.dev").dry_run(true).build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, unused);
    client.track(client.event().build());
    let stats = client.stop().await;
    assert_eq!((stats.dropped.dry_run, stats.panics), (1, 0));
    assert_eq!(
        log.lines("[DRY RUN]"),
        ["INFO mosaicstack_telemetry: [DRY RUN] Would submit batch of 1 events to \
          https://tel-api.mosaicstack.dev/v1/events/batch"]
    );
}

//! Sync usage (threading), and async usage (asyncio).

use std::future::ready;

use mosaicstack_telemetry::AsyncTelemetryClient;
use telemetry_tests::{config, status};
use tokio::runtime::Handle;

use super::guide_queries;
use crate::{
    client::Kind,
    support::{collector, start},
    wire::guide_event,
};

#[tokio::test]
async fn client_is_one_task_until_it_is_stopped() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let config = config("https://example.com").build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, |_| ready(Ok(status(200))));
    assert_eq!(tasks(), 1);
    client.stop().await;
    // The cancelled timer of `stop` is dropped when the runtime runs next.
    tokio::task::yield_now().await;
    assert_eq!(tasks(), 0);
}

#[test]
fn both_clients_deliver_the_example_with_the_same_requests() {
    let sent = Kind::ALL.map(|kind| {
        let collector = collector();
        let client = start(kind, &collector);
        client.handle().track(guide_event());
        client.refresh(&guide_queries()).unwrap();
        let stats = client.stop();
        assert_eq!((stats.delivered, stats.pending), (1, 0));
        assert_eq!(collector.events(), [guide_event()]);
        let requests = collector.requests().into_iter().map(|mut it| {
            it.headers.remove("host");
            (it.method, it.path, it.headers, it.authorization, it.body)
        });
        requests.collect::<Vec<_>>()
    });
    assert_eq!(sent[0].len(), 2);
    assert_eq!(sent[0], sent[1]);
}

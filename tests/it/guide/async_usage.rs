//! Async usage, and the differences between sync and async.

use std::{future::ready, thread};

use mosaicstack_telemetry::{AsyncTelemetryClient, TaskCompletionEvent, TelemetryClient};
use telemetry_tests::{config, status};
use tokio::runtime::Handle;

use super::{async_client, guide_queries};
use crate::{
    blocking::{AMPLE, client, collector},
    wire::guide_event,
};

#[tokio::test]
async fn example_event_is_delivered_by_stop() {
    let collector = collector();
    let client = async_client(&collector);
    let event = guide_event();
    client.track(event.clone());
    let stats = client.stop().await;
    assert_eq!((stats.delivered, stats.pending), (1, 0));
    assert_eq!(collector.events(), [event]);
}

#[tokio::test]
async fn client_is_one_task_until_it_is_stopped() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let config = config("https://example.com").build().unwrap();
    let client = AsyncTelemetryClient::with_transport(config, |_| ready(Ok(status(200))));
    assert_eq!(tasks(), 1);
    client.stop().await;
    assert_eq!(tasks(), 0);
}

#[tokio::test]
async fn track_is_synchronous_in_both_clients() {
    let _: fn(&TelemetryClient, TaskCompletionEvent) = TelemetryClient::track;
    let track: fn(&AsyncTelemetryClient, TaskCompletionEvent) = AsyncTelemetryClient::track;
    let collector = collector();
    let client = &async_client(&collector);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || track(client, client.event().build()));
        }
    });
    client.flush(AMPLE).await.unwrap();
    assert_eq!(collector.totals().accepted, 4);
}

#[test]
fn both_clients_send_the_same_requests() {
    let collector = collector();
    let (event, queries) = (guide_event(), guide_queries());
    let client = client(&collector);
    client.track(event.clone());
    client.refresh_predictions(&queries).unwrap();
    client.stop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = async_client(&collector);
        client.track(event);
        client.refresh_predictions(&queries).await.unwrap();
        client.stop().await;
    });
    let requests = collector.requests().into_iter();
    let sent: Vec<_> =
        requests.map(|it| (it.method, it.path, it.headers, it.authorization, it.body)).collect();
    assert_eq!(sent.len(), 4);
    assert_eq!(sent[..2], sent[2..]);
}

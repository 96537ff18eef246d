//! The client on tokio where it differs: a task, tokio's clock, and runtimes that end.

mod nested;
mod runtimes;
mod timing;
mod wakers;

use std::{
    pin::pin,
    sync::{Arc, OnceLock},
    task::{Context, Waker},
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient,
    transport::{Request, TransportError},
};
use telemetry_collector::{Collector, ResponseTemplate};
use telemetry_tests::{status, track};
use tokio::{task, time};

use crate::{
    client::{current_thread, multi_thread},
    support::{AMPLE, async_client, collector, eager, ids},
};

/// Runs a test on each kind of runtime.
fn on_each_runtime<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async { time::timeout(AMPLE, test()).await }).expect("the test ends");
    }
}

/// The collector, once it has taken so many events.
async fn wait_for(collector: Collector, accepted: u64) -> Collector {
    let waiting = task::spawn_blocking(move || {
        assert!(collector.wait_for(AMPLE, |totals| totals.accepted == accepted));
        collector
    });
    waiting.await.expect("no panic")
}

#[test]
fn drop_returns_at_once_and_queued_events_are_delivered_in_the_background() {
    on_each_runtime(|| async {
        let collector = collector();
        collector.script([ResponseTemplate::normal().delay(Duration::from_millis(20))]);
        let client = async_client(&collector);
        let handle = client.handle();
        let tracked = track(&handle, 99);
        drop(client);
        assert_eq!(handle.stats().pending, 99);
        assert_eq!(ids(&wait_for(collector, 99).await), tracked);
    });
}

#[test]
fn dropped_flush_future_still_flushes() {
    on_each_runtime(|| async {
        let collector = collector();
        let client = async_client(&collector);
        let tracked = track(&client.handle(), 3);
        {
            let flush = pin!(client.flush(AMPLE));
            let _ = flush.poll(&mut Context::from_waker(Waker::noop()));
        }
        assert_eq!(ids(&wait_for(collector, 3).await), tracked);
    });
}

#[test]
fn flush_by_the_transport_fails_at_its_deadline() {
    on_each_runtime(|| async {
        let inside = Arc::<OnceLock<Arc<AsyncTelemetryClient>>>::default();
        let transport = {
            let inside = Arc::clone(&inside);
            move |_: Request| {
                let inside = Arc::clone(&inside);
                async move {
                    let client = inside.get().expect("set before the first request");
                    client.flush(Duration::from_millis(10)).await.expect_err("in this request");
                    Ok::<_, TransportError>(status(200))
                }
            }
        };
        let config = eager("https://example.com").build().unwrap();
        let client = Arc::new(AsyncTelemetryClient::with_transport(config, transport));
        assert!(inside.set(Arc::clone(&client)).is_ok());
        track(&client.handle(), 1);
        client.flush(AMPLE).await.unwrap();
    });
}

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
    AsyncTelemetryClient, Stats, TelemetryHandle,
    transport::{AsyncTransport, Request, Response, TransportError},
};
use telemetry_tests::{status, track};
use tokio::{sync::Semaphore, task, time};

use crate::{
    client::{current_thread, multi_thread},
    support::{AMPLE, async_client, collector, eager},
};

/// Runs a test on each kind of runtime.
fn on_each_runtime<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async { time::timeout(AMPLE, test()).await }).expect("the test ends");
    }
}

/// A transport that waits for a permit before each response, and the permits.
fn gated(body: &'static str) -> (impl AsyncTransport, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let shared = Arc::clone(&permits);
    let transport = move |_: Request| {
        let permits = Arc::clone(&shared);
        async move {
            let _permit = permits.acquire().await;
            Ok::<_, TransportError>(Response::new(body.into()))
        }
    };
    (transport, permits)
}

async fn drained(handle: &TelemetryHandle) -> Stats {
    while handle.stats().pending > 0 {
        task::yield_now().await;
    }
    handle.stats()
}

#[test]
fn drop_returns_at_once_and_queued_events_are_delivered_in_the_background() {
    on_each_runtime(|| async {
        let (transport, permits) = gated("");
        let config = eager("https://example.com").build().unwrap();
        let client = AsyncTelemetryClient::with_transport(config, transport);
        let handle = client.handle();
        track(&handle, 99);
        drop(client);
        assert_eq!(handle.stats().pending, 99);
        permits.add_permits(1);
        assert_eq!(drained(&handle).await.delivered, 99);
    });
}

#[test]
fn dropped_flush_future_still_flushes() {
    on_each_runtime(|| async {
        let collector = collector();
        let client = async_client(&collector);
        track(&client.handle(), 3);
        {
            let flush = pin!(client.flush(AMPLE));
            let _ = flush.poll(&mut Context::from_waker(Waker::noop()));
        }
        assert_eq!(drained(&client.handle()).await.delivered, 3);
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

//! Wakers that panic, and wakers of dropped futures.

use std::{
    future,
    pin::pin,
    sync::{Arc, Weak},
    task::{Context, Wake, Waker},
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient,
    transport::{Response, TransportError},
};
use telemetry_tests::{config, track};

use super::{gated, on_each_runtime};
use crate::{
    client::multi_thread,
    support::{AMPLE, query},
};

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        std::panic::resume_unwind(Box::new("a panic without a message"));
    }
}

struct Idle;

impl Wake for Idle {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn panic_of_a_waker_affects_neither_the_client_nor_other_callers() {
    on_each_runtime(|| async {
        let (transport, permits) = gated(r#"[{"prediction": null}]"#);
        let config = config("https://example.com").build().unwrap();
        let client = AsyncTelemetryClient::with_transport(config, transport);
        let panics = Waker::from(Arc::new(Panics));
        track(&client.handle(), 1);
        // Not dropped, so that their wakers stay registered.
        let mut bad_flush = pin!(client.flush(AMPLE));
        assert!(bad_flush.as_mut().poll(&mut Context::from_waker(&panics)).is_pending());
        let one = query(0);
        let mut first = pin!(client.predictions().get(&one));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut bad_lookup = pin!(client.predictions().get(&one));
        assert!(bad_lookup.as_mut().poll(&mut Context::from_waker(&panics)).is_pending());
        let predictions = client.predictions().clone();
        let waiting = tokio::spawn(async move { predictions.get(&query(0)).await });
        tokio::task::yield_now().await;

        permits.add_permits(100);
        first.await.unwrap();
        waiting.await.unwrap().unwrap();
        client.flush(AMPLE).await.unwrap();
        track(&client.handle(), 1);
        client.flush(AMPLE).await.unwrap();
        assert_eq!(client.stats().delivered, 2);
    });
}

#[test]
fn waker_of_a_dropped_future_is_released() {
    let runtime = multi_thread();
    let config = config("https://example.com").build().unwrap();
    let _context = runtime.enter();
    let client = AsyncTelemetryClient::with_transport(config, |_| {
        future::pending::<Result<Response, TransportError>>()
    });
    track(&client.handle(), 100);
    let query = query(0);
    let mut first = pin!(client.predictions().get(&query));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut dropped: Vec<Weak<Idle>> = Vec::new();
    for _ in 0..100 {
        let idle = Arc::new(Idle);
        dropped.push(Arc::downgrade(&idle));
        let waker = Waker::from(idle);
        let mut context = Context::from_waker(&waker);
        assert!(pin!(client.flush(AMPLE)).poll(&mut context).is_pending());
        assert!(pin!(client.predictions().get(&query)).poll(&mut context).is_pending());
    }
    assert_eq!(dropped.iter().filter(|waker| waker.strong_count() > 0).count(), 0);
}

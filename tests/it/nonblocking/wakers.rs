//! Wakers that panic, and those that are given up: nobody else pays for them.

use std::{
    future,
    pin::pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, PredictionQuery, Provider, Response, TaskType, TransportError,
};
use telemetry_tests::{config, lifecycle::park_on, track};
use tokio::sync::Semaphore;

use super::{current_thread, multi_thread, on_each_runtime};
use crate::blocking::{AMPLE, returned};

const URL: &str = "https://example.com";

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

fn query() -> PredictionQuery {
    PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low)
}

/// Polls a future once with that waker; fails if it is ready.
fn poll_once(future: impl Future, waker: &Waker) {
    assert!(pin!(future).poll(&mut Context::from_waker(waker)).is_pending());
}

#[test]
fn one_that_panics_costs_neither_the_client_nor_others() {
    on_each_runtime(|| async {
        let gate = Arc::new(Semaphore::new(0));
        let opens = Arc::clone(&gate);
        let transport = move |_| {
            let gate = Arc::clone(&gate);
            async move {
                let _open = gate.acquire().await;
                Ok::<_, TransportError>(Response::new(r#"[{"prediction": null}]"#.into()))
            }
        };
        let config = config(URL).early_flush(true).build().unwrap();
        let client = AsyncTelemetryClient::with_transport(config, transport);
        let panics = Waker::from(Arc::new(Panics));
        track(&client.handle(), 1);
        // Kept, so that it stands among those who wait.
        let mut bad_flush = pin!(client.flush(AMPLE));
        assert!(bad_flush.as_mut().poll(&mut Context::from_waker(&panics)).is_pending());
        let asked = query();
        let mut leader = pin!(client.predict(&asked));
        assert!(leader.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut bad_lookup = pin!(client.predict(&asked));
        assert!(bad_lookup.as_mut().poll(&mut Context::from_waker(&panics)).is_pending());
        let follows = client.predictor();
        let follower = tokio::spawn(async move { follows.predict(&query()).await });
        tokio::task::yield_now().await;

        opens.add_permits(100);
        leader.await.unwrap();
        follower.await.unwrap().unwrap();
        client.flush(AMPLE).await.unwrap();
        track(&client.handle(), 1);
        client.flush(AMPLE).await.unwrap();
        assert_eq!(client.stats().delivered, 2);
    });
}

#[test]
fn one_that_panics_does_not_stop_the_clock_of_others() {
    let brief = Duration::from_millis(20);
    let config = config(URL).request_timeout(brief).shutdown_timeout(brief).build().unwrap();
    // On a runtime that stands still, one thread wakes all that wait.
    let runtime = current_thread();
    let client = runtime.block_on(async {
        AsyncTelemetryClient::with_transport(config, |_| {
            future::pending::<Result<Response, TransportError>>()
        })
    });
    let predictor = client.predictor();
    let asked = query();
    let mut bad = pin!(predictor.predict(&asked));
    let panics = Waker::from(Arc::new(Panics));
    assert!(bad.as_mut().poll(&mut Context::from_waker(&panics)).is_pending());
    track(&client.handle(), 1);
    assert!(returned(move || park_on(client.flush(2 * brief))).is_err());
}

#[test]
fn those_that_are_given_up_are_let_go() {
    let runtime = multi_thread();
    let config = config(URL).build().unwrap();
    let client = runtime.block_on(async {
        AsyncTelemetryClient::with_transport(config, |_| {
            future::pending::<Result<Response, TransportError>>()
        })
    });
    track(&client.handle(), 100);
    let leader = client.predictor();
    let asked = query();
    let mut leads = pin!(leader.predict(&asked));
    let idle = Waker::from(Arc::new(Idle));
    assert!(matches!(leads.as_mut().poll(&mut Context::from_waker(&idle)), Poll::Pending));
    let mut given_up: Vec<Weak<Idle>> = Vec::new();
    for _ in 0..100 {
        let waker = Arc::new(Idle);
        given_up.push(Arc::downgrade(&waker));
        let waker = Waker::from(waker);
        poll_once(client.flush(AMPLE), &waker);
        poll_once(client.predict(&asked), &waker);
    }
    assert_eq!(given_up.iter().filter(|waker| waker.strong_count() > 0).count(), 0);
}

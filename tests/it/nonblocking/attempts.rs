//! Transports that are closures, among them those that misbehave.

use std::{
    panic,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, AsyncTransport, HyperTransport, Request, Response, TelemetryHandle,
    TransportError,
};
use telemetry_collector::Answer;
use telemetry_tests::{status, track};

use super::on_each_runtime;
use crate::blocking::{AMPLE, collector, eager, ids};

fn panics() -> ! {
    panic::resume_unwind(Box::new("a panic without a message"))
}

/// Panics where it is told to: when it is polled, or when it is dropped.
struct Panics {
    when_polled: bool,
}

impl Future for Panics {
    type Output = Result<Response, TransportError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.when_polled {
            panics();
        }
        Poll::Ready(Err(TransportError::network("it is going to panic")))
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if !self.when_polled {
            panics();
        }
    }
}

#[test]
fn a_panic_of_the_transport_costs_an_attempt() {
    on_each_runtime(|| async {
        let collector = collector();
        let (calls, hyper) = (AtomicUsize::new(0), HyperTransport::new());
        let transport = move |request: Request| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            if call == 0 {
                panics();
            }
            let hyper = hyper.clone();
            async move {
                match call {
                    1 => Panics { when_polled: true }.await,
                    2 => Panics { when_polled: false }.await,
                    _ => hyper.send(request).await,
                }
            }
        };
        let config = eager(collector.url()).build().unwrap();
        let client = AsyncTelemetryClient::with_transport(config, transport);
        let tracked = track(&client.handle(), 3);
        client.flush(AMPLE).await.unwrap();
        assert_eq!(ids(&collector), tracked);
        let stats = client.stop().await;
        assert_eq!((stats.delivered, stats.panics, stats.requests), (3, 3, 4));
        assert!(stats.is_balanced());
    });
}

#[test]
fn a_connection_that_breaks_is_tried_again() {
    on_each_runtime(|| async {
        let collector = collector();
        collector.script([Answer::close(), Answer::status(503), Answer::normal()]);
        let client = super::client(&collector);
        let tracked = track(&client.handle(), 3);
        client.flush(AMPLE).await.unwrap();
        assert_eq!(ids(&collector), tracked);
        assert_eq!(client.stats().retried, 2);
    });
}

#[test]
fn one_connection_carries_all_batches() {
    on_each_runtime(|| async {
        let collector = collector();
        let config = eager(collector.url()).batch_size(10).build().unwrap();
        let client = AsyncTelemetryClient::start(config);
        for _ in 0..5 {
            track(&client.handle(), 40);
            client.flush(AMPLE).await.unwrap();
        }
        let requests = collector.requests();
        assert!(requests.len() >= 20, "{}", requests.len());
        assert!(requests.iter().all(|request| request.connection == requests[0].connection));
    });
}

#[test]
fn a_transport_can_track_and_ask_for_a_flush() {
    on_each_runtime(|| async {
        let inside = Arc::<OnceLock<TelemetryHandle>>::default();
        let transport = {
            let inside = Arc::clone(&inside);
            move |_: Request| {
                if let Some(handle) = inside.get() {
                    track(handle, 1);
                    assert!(handle.stats().tracked > 0);
                }
                async { Ok::<_, TransportError>(status(200)) }
            }
        };
        let config = eager("https://example.com").shutdown_timeout(AMPLE).build().unwrap();
        let client = AsyncTelemetryClient::with_transport(config, transport);
        inside.set(client.handle()).unwrap();
        track(&client.handle(), 3);
        client.flush(AMPLE).await.unwrap();
        assert_eq!(client.stats().delivered, 3);
        let stats = client.stop().await;
        assert_eq!((stats.panics, stats.pending), (0, 0));
        assert!(stats.is_balanced());
    });
}

#[test]
fn a_client_inside_its_own_transport_does_not_wait_for_itself_for_ever() {
    on_each_runtime(|| async {
        let inside = Arc::<OnceLock<Arc<AsyncTelemetryClient>>>::default();
        let transport = {
            let inside = Arc::clone(&inside);
            move |_: Request| {
                let inside = Arc::clone(&inside);
                async move {
                    let client = inside.get().expect("it is set before anything is tracked");
                    client.flush(Duration::from_millis(10)).await.expect_err("this is the attempt");
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

//! `flush` and `shutdown` of a handle, which block any thread.

use std::{
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, TelemetryConfig, TelemetryHandle,
    sans_io::{Start, Submitter},
};
use telemetry_tests::{Log, now, status, track};

use crate::{
    client::{Client, Kind, current_thread, multi_thread},
    support::{AMPLE, collector, eager, ids, returned, start, stuck},
};

const URL: &str = "https://example.com";

/// A deadline that passes in the test.
const BRIEF: Duration = Duration::from_millis(20);

#[test]
fn handle_flushes_and_shuts_down_on_a_thread_without_a_runtime() {
    for kind in Kind::ALL {
        let (log, collector) = (Log::new(), collector());
        let client = start(kind, &collector);
        let mut tracked = track(&client.handle(), 250);
        let handle = client.handle();
        let handle = returned(move || handle.flush(AMPLE).map(|()| handle)).unwrap();
        assert_eq!(ids(&collector), tracked);
        tracked.extend(track(&handle, 3));
        let stats = returned(move || handle.shutdown(AMPLE));
        assert_eq!((stats.delivered, stats.pending), (253, 0));
        assert_eq!(ids(&collector), tracked);
        track(&client.handle(), 1);
        let stats = returned(move || client.stop());
        assert_eq!((stats.tracked, stats.dropped.closed), (254, 1));
        assert!(stats.is_balanced() && log.lines("").is_empty(), "{:?}", log.lines(""));
    }
}

#[test]
fn earliest_deadline_of_several_shutdowns_counts_and_the_rest_is_logged_once() {
    for kind in Kind::ALL {
        let log = Log::new();
        let (block, calls, release) = stuck();
        let config = eager(URL).shutdown_timeout(5 * AMPLE).build().unwrap();
        let client = Client::with_transport(kind, config, move |_| {
            block();
            Ok(status(200))
        });
        let handle = client.handle();
        track(&handle, 100);
        calls.recv_timeout(AMPLE).unwrap();
        assert_eq!(handle.shutdown(BRIEF).pending, 100);
        let stats = match client {
            Client::Blocking(client) => returned(move || client.stop()),
            // Its runtime cannot end before the transport.
            Client::Tokio(client, runtime) => {
                runtime.block_on(client.stop());
                drop(release);
                drop(runtime);
                handle.stats()
            }
        };
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!(log.lines("100 events are not delivered").len(), 1, "{:?}", log.lines(""));
    }
}

#[test]
fn calls_on_the_worker_return_instead_of_waiting_for_themselves() {
    for kind in Kind::ALL {
        let inside = Arc::<OnceLock<TelemetryHandle>>::default();
        let (sender, results) = mpsc::channel();
        let config = eager(URL).early_flush(false).on_notification({
            let inside = Arc::clone(&inside);
            move |_| {
                let handle = inside.get().expect("set before the first event");
                let stats = handle.shutdown(5 * AMPLE);
                let _ = sender.send((handle.flush(5 * AMPLE), stats));
            }
        });
        let client = Client::with_transport(kind, config.build().unwrap(), |_| Ok(status(200)));
        let handle = client.handle();
        inside.set(handle.clone()).unwrap();
        track(&handle, 150);
        client.flush(AMPLE).unwrap();
        let (flushed, stats) = results.recv_timeout(AMPLE).unwrap();
        assert_eq!(flushed.unwrap_err().pending, 50);
        assert_eq!((stats.delivered, stats.pending), (100, 50));
        // The shutdown goes on without its caller.
        assert_eq!(returned(move || client.stop()).delivered, 150);
    }
}

#[test]
fn calls_that_block_the_runtime_of_the_client_end_at_their_deadline() {
    let collector = collector();
    let client = || {
        let client = AsyncTelemetryClient::start(eager(collector.url()).build().unwrap());
        track(&client.handle(), 3);
        client
    };
    current_thread().block_on(async {
        let client = client();
        assert_eq!(client.handle().flush(BRIEF).unwrap_err().pending, 3);
        client.flush(AMPLE).await.unwrap();
    });
    let runtime = multi_thread();
    // Another thread of the runtime delivers.
    runtime.block_on(async { client().handle().flush(AMPLE).unwrap() });
    let client_of_task = runtime.block_on(async { client() });
    let in_task = async move {
        // Delivered or not: that depends on the thread that the client's task waits for.
        let _ = client_of_task.handle().flush(BRIEF);
        client_of_task.stop().await
    };
    assert_eq!(runtime.block_on(runtime.spawn(in_task)).unwrap().delivered, 3);
    let client = current_thread().block_on(async { client() });
    let start = now();
    assert_eq!(client.handle().shutdown(5 * AMPLE).pending, 3, "its runtime has ended");
    assert!(start.elapsed() < AMPLE);
}

#[test]
fn handle_without_a_client_requests_nothing() {
    let start = Start { now: now(), seed: 7 };
    let config = eager(URL).build().unwrap();
    for (config, pending) in [(config, 3), (TelemetryConfig::disabled(), 0)] {
        let (_submitter, handle) = Submitter::new(&config, start, || {});
        handle.flush(Duration::ZERO).unwrap();
        track(&handle, 3);
        assert_eq!(handle.flush(5 * AMPLE).map_or_else(|error| error.pending, |()| 0), pending);
        assert_eq!(handle.shutdown(5 * AMPLE).pending, pending);
        track(&handle, 1);
        let stats = handle.stats();
        assert_eq!((stats.pending, stats.dropped.total()), (pending, 4 - pending));
        assert!(stats.is_balanced());
    }
}

//! Runtimes that are missing or have ended: no call hangs or panics.

use std::{future, time::Duration};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Health,
    transport::{Request, Response, TransportError},
};
use telemetry_tests::{Log, config, track};

use crate::{
    client::{current_thread, multi_thread},
    support::{AMPLE, query, returned, stuck},
};

const BRIEF: Duration = Duration::from_millis(50);

/// A client whose requests never end.
fn silent_client(timeout: Duration) -> AsyncTelemetryClient {
    let silent = |_: Request| future::pending::<Result<Response, TransportError>>();
    let config = config("https://example.com").request_timeout(timeout).shutdown_timeout(timeout);
    AsyncTelemetryClient::with_transport(config.build().expect("a valid configuration"), silent)
}

#[test]
fn end_of_the_runtime_is_logged_and_not_waited_for() {
    let log = Log::new();
    let runtime = current_thread();
    let client = runtime.block_on(async { silent_client(100 * AMPLE) });
    track(&client.handle(), 1);
    drop(runtime);
    assert_eq!(log.lines("events stay queued").len(), 1);
    assert_eq!(client.stats().health, Health::NoWorker);
    let stats = returned(|| {
        current_thread().block_on(async {
            client.flush(100 * AMPLE).await.expect_err("the task is gone");
            client.stop().await
        })
    });
    assert_eq!((stats.pending, stats.delivered), (1, 0));
}

#[test]
fn client_outside_a_runtime_logs_a_warning_and_queues_events() {
    let log = Log::new();
    let client = silent_client(BRIEF);
    assert_eq!(log.lines("WARN").len(), 1);
    assert_eq!(client.stats().health, Health::NoWorker);
    track(&client.handle(), 1);
    let stats = returned(|| {
        current_thread().block_on(async {
            client.predictions().get(&query(0)).await.expect_err("no response");
            client.stop().await
        })
    });
    assert_eq!((stats.tracked, stats.pending, stats.panics), (1, 1, 0));
}

#[test]
fn stop_returns_at_its_deadline_though_the_transport_blocks_its_thread() {
    let (block, calls, release) = stuck();
    let blocking = move |_: Request| {
        block();
        async { Ok::<_, TransportError>(Response::default()) }
    };
    let runtime = multi_thread();
    let config = config("https://example.com").shutdown_timeout(BRIEF).build().unwrap();
    let client = runtime.block_on(async { AsyncTelemetryClient::with_transport(config, blocking) });
    track(&client.handle(), 100);
    calls.recv_timeout(AMPLE).unwrap();
    let (stats, runtime) = returned(move || (runtime.block_on(client.stop()), runtime));
    assert_eq!((stats.pending, stats.delivered), (100, 0));
    drop((release, runtime));
}

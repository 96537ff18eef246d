//! A forked child has a client without its thread: it neither hangs nor sends the parent's events.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    process,
    task::{Context, Poll, Waker},
};

use fork::Fork;
use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, PredictionError, PredictionQuery, Provider, TaskType,
    TelemetryClient,
};
use telemetry_tests::track;
use tokio::runtime::Builder;

use crate::blocking::{AMPLE, client, collector, eager, ids, returned};

fn query() -> PredictionQuery {
    PredictionQuery::new(TaskType::Testing, "m", Provider::Openai, Complexity::Low)
}

/// What a child may do with the client that it has inherited.
fn child(client: TelemetryClient) {
    let handle = client.handle();
    track(&handle, 1);
    assert_eq!(client.flush(2 * AMPLE).expect_err("no thread sends them").pending, 4);
    let query = query();
    let error = client.refresh_predictions(std::slice::from_ref(&query)).expect_err("nobody asks");
    assert!(matches!(error, PredictionError::Forked), "{error}");
    assert!(handle.prediction(&query).is_none());
    let stats = client.stop();
    assert_eq!((stats.pending, stats.delivered, stats.requests), (4, 0, 0));
    assert!(stats.is_balanced());
}

/// The same on tokio, whose threads are in the parent: each future is ready when it is polled first.
fn child_on_tokio(client: AsyncTelemetryClient) {
    fn ready<T>(future: impl Future<Output = T>) -> T {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(future).poll(&mut cx) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }
    track(&client.handle(), 1);
    assert_eq!(ready(client.flush(2 * AMPLE)).expect_err("no task sends them").pending, 4);
    let error = ready(client.predict(&query())).expect_err("nobody asks");
    assert!(matches!(error, PredictionError::Forked), "{error}");
    let stats = ready(client.stop());
    assert_eq!((stats.pending, stats.delivered, stats.requests), (4, 0, 0));
}

/// Does that in a forked child and waits for its end.
fn in_a_child(child: impl FnOnce()) {
    match fork::fork().expect("it can be forked") {
        Fork::Child => {
            // Whatever happens, the child must not go on with the tests, nor end their threads.
            let passes = catch_unwind(AssertUnwindSafe(child)).is_ok();
            process::exit(i32::from(!passes));
        }
        Fork::Parent(pid) => {
            let status = returned(move || fork::waitpid(pid)).expect("it is a child");
            assert_eq!(status, 0, "the child failed; its message is above");
        }
    }
}

#[test]
fn a_forked_child_leaves_everything_to_its_parent() {
    let collector = collector();
    let client = client(&collector);
    let tracked = track(&client.handle(), 3);
    let mut client = Some(client);
    in_a_child(|| child(client.take().expect("it is there")));
    assert_eq!(collector.totals().requests, 0);
    client.expect("it is the parent's").flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
}

#[test]
fn so_does_one_with_a_client_on_tokio() {
    let collector = collector();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = eager(collector.url()).build().unwrap();
    let client = runtime.block_on(async { AsyncTelemetryClient::start(config) });
    let tracked = track(&client.handle(), 3);
    let mut client = Some(client);
    in_a_child(|| child_on_tokio(client.take().expect("it is there")));
    assert_eq!(collector.totals().requests, 0);
    runtime.block_on(client.expect("it is the parent's").flush(AMPLE)).unwrap();
    assert_eq!(ids(&collector), tracked);
}

//! A forked child has a client without its thread: it neither hangs nor sends the parent's events.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process,
};

use fork::Fork;
use mosaicstack_telemetry::{
    Complexity, PredictionError, PredictionQuery, Provider, TaskType, TelemetryClient,
};
use telemetry_tests::track;

use crate::blocking::{AMPLE, client, collector, ids, returned};

/// What a child may do with the client that it has inherited.
fn child(client: TelemetryClient) {
    let handle = client.handle();
    track(&handle, 1);
    assert_eq!(client.flush(2 * AMPLE).expect_err("no thread sends them").pending, 4);
    let query = PredictionQuery::new(TaskType::Testing, "m", Provider::Openai, Complexity::Low);
    let error = client.refresh_predictions(std::slice::from_ref(&query)).expect_err("nobody asks");
    assert!(matches!(error, PredictionError::Forked), "{error}");
    assert!(handle.prediction(&query).is_none());
    let stats = client.stop();
    assert_eq!((stats.pending, stats.delivered, stats.requests), (4, 0, 0));
    assert!(stats.is_balanced());
}

#[test]
fn a_forked_child_leaves_everything_to_its_parent() {
    let collector = collector();
    let client = client(&collector);
    let tracked = track(&client.handle(), 3);
    match fork::fork().unwrap() {
        Fork::Child => {
            // Whatever happens, the child must not go on with the tests.
            let passes = catch_unwind(AssertUnwindSafe(|| child(client))).is_ok();
            process::exit(i32::from(!passes));
        }
        Fork::Parent(pid) => {
            let status = returned(move || fork::waitpid(pid)).unwrap();
            assert_eq!(status, 0, "the child failed; its message is above");
        }
    }
    assert_eq!(collector.totals().requests, 0);
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
}

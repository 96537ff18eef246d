//! A system that cannot spawn another thread.

use std::{thread, time::Duration};

use mosaicstack_telemetry::{AsyncTelemetryClient, Health, TelemetryClient};
use telemetry_tests::{now, track};

use crate::{
    client::current_thread,
    support::{eager, query, run_alone},
};

/// Of no server. A name, since transports resolve names on threads.
const URL: &str = "http://localhost:1";

const DEADLINE: Duration = Duration::from_millis(200);

#[test]
fn calls_return_in_time_if_the_system_has_no_thread_to_spare() {
    // A stack of this size cannot be mapped: the system refuses, as at its limit of threads.
    let variables = [("RUST_MIN_STACK", "100000000000000")];
    if run_alone(calls_return_in_time_if_the_system_has_no_thread_to_spare, &variables).is_some() {
        return;
    }
    thread::Builder::new().spawn(|| {}).expect_err("there is no thread");
    let config = || eager(URL).shutdown_timeout(DEADLINE).build().unwrap();
    let in_time = |call: &dyn Fn()| {
        let took = [(); 3].map(|()| {
            let start = now();
            call();
            start.elapsed()
        });
        assert!(took.iter().any(|took| *took < DEADLINE + Duration::from_millis(50)), "{took:?}");
    };
    let client = TelemetryClient::start(config());
    assert_eq!(client.stats().health, Health::NoWorker);
    track(&client.handle(), 200);
    in_time(&|| assert_eq!(client.flush(DEADLINE).unwrap_err().pending, 200));
    client.predictions().get(&query(0)).unwrap_err();
    let stats = client.stop();
    assert_eq!((stats.pending, stats.panics), (200, 0));

    let runtime = current_thread();
    let client = runtime.block_on(async { AsyncTelemetryClient::start(config()) });
    track(&client.handle(), 200);
    in_time(&|| {
        let error = runtime.block_on(client.flush(DEADLINE)).unwrap_err();
        assert_eq!(error.pending, 200);
    });
    let stats = runtime.block_on(client.stop());
    assert_eq!((stats.pending, stats.panics), (200, 0));
}

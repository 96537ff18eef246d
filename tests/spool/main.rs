//! Clients with a spool: their threads, files and processes.

mod folder;
#[cfg(unix)]
mod hostile;
mod processes;

use std::{fs, path::Path, thread, time::Duration};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, RetryPolicy, Stats, TelemetryClient, TelemetryConfigBuilder,
    TelemetryHandle, spool::Spool,
};
use telemetry_collector::{Collector, ResponseTemplate};
use telemetry_tests::{config, track};

use self::folder::Folder;

/// Far beyond the duration of any test.
const AMPLE: Duration = Duration::from_secs(30);

/// URL of no server.
const ABSENT: &str = "http://127.0.0.1:1";

fn collector() -> Collector {
    Collector::start().expect("loopback can be bound")
}

/// A configuration for the server at `url` with a spool, and with almost no backoff.
fn spooled(url: &str, folder: &Path) -> TelemetryConfigBuilder {
    let initial_backoff = Duration::from_millis(1);
    let policy = RetryPolicy { initial_backoff, max_retries: 1, ..RetryPolicy::default() };
    config(url).retry_policy(policy).shutdown_timeout(AMPLE).spool(Spool::in_dir(folder))
}

type Run = fn(TelemetryConfigBuilder, &dyn Fn(&TelemetryHandle)) -> Stats;

/// Starts a client on a thread, runs `program` and stops the client.
fn run(config: TelemetryConfigBuilder, program: &dyn Fn(&TelemetryHandle)) -> Stats {
    let client = TelemetryClient::start(config.build().expect("a valid configuration"));
    program(&client.handle());
    client.stop()
}

/// As `run`, on tokio.
fn run_on_tokio(config: TelemetryConfigBuilder, program: &dyn Fn(&TelemetryHandle)) -> Stats {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let client = AsyncTelemetryClient::start(config.build().expect("a valid configuration"));
        program(&client.handle());
        client.stop().await
    })
}

/// Waits until the events of the handle are in the spool or delivered.
fn wait_until_written(handle: &TelemetryHandle) {
    wait_for(handle, |stats| stats.pending == 0);
}

fn wait_for(handle: &TelemetryHandle, is_reached: impl Fn(&Stats) -> bool) {
    let deadline = telemetry_tests::now() + AMPLE;
    while !is_reached(&handle.stats()) {
        assert!(telemetry_tests::now() < deadline, "{:?}", handle.stats());
        thread::yield_now();
    }
}

/// The files of events below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() != "drain.lock" {
                files.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    files
}

#[test]
fn both_clients_deliver_and_leave_no_file() {
    for run in [run as Run, run_on_tokio] {
        let (folder, collector) = (Folder::new(), collector());
        let stats = run(spooled(collector.url(), &folder), &|handle| drop(track(handle, 250)));
        assert_eq!((stats.delivered, stats.pending, stats.spooled), (250, 0, 0));
        assert_eq!(collector.totals().held, 250);
        assert_eq!(files(&folder), [""; 0]);
    }
}

#[test]
fn flush_returns_when_the_events_are_delivered() {
    let (folder, collector) = (Folder::new(), collector());
    run(spooled(collector.url(), &folder), &|handle| {
        for count in 1..50 {
            track(handle, 3);
            assert_eq!(handle.flush(AMPLE), Ok(()));
            assert_eq!(collector.totals().held, 3 * count);
        }
    });
    let stats = run(spooled(ABSENT, &folder).shutdown_timeout(Duration::ZERO), &|handle| {
        track(handle, 3);
        assert_eq!(handle.flush(AMPLE).unwrap_err().pending, 3);
    });
    assert_eq!((stats.pending, stats.spooled), (0, 3));
}

#[test]
fn events_left_by_one_kind_of_client_are_delivered_by_the_other() {
    let folder = Folder::new();
    let left = |run: Run, url: &str, count| {
        let stats = run(spooled(url, &folder), &|handle| drop(track(handle, count)));
        (stats.pending, stats.spooled)
    };
    let collector = collector();
    let url = collector.url().to_owned();
    collector.fault(ResponseTemplate::status(503));
    assert_eq!(left(run, &url, 120), (0, 120));
    assert_eq!(left(run_on_tokio, &url, 30).0, 0);
    collector.clear_faults();
    let stats = run(spooled(&url, &folder), &|handle| {
        wait_for(handle, |stats| stats.delivered == 150);
    });
    assert_eq!((stats.tracked, stats.recovered, stats.spooled), (0, 150, 0));
    assert_eq!(collector.totals().held, 150);
    assert_eq!(files(&folder), [""; 0]);
}

#[test]
fn events_without_room_in_memory_are_delivered_by_the_same_client() {
    let (folder, collector) = (Folder::new(), collector());
    collector.fault(ResponseTemplate::status(503));
    let config = spooled(collector.url(), &folder).max_queue_size(10).batch_size(5);
    let config = config.submit_interval(Duration::from_millis(10));
    let stats = run(config, &|handle| {
        for _ in 0..20 {
            track(handle, 5);
            wait_until_written(handle);
        }
        assert_eq!(handle.stats().spooled, 100);
        collector.clear_faults();
        wait_for(handle, |stats| stats.delivered == 100);
    });
    assert_eq!((stats.evicted, stats.recovered), (0, 90));
    assert_eq!(collector.totals().held, 100);
    assert_eq!(files(&folder), [""; 0]);
}

#[test]
fn events_in_flight_at_the_deadline_of_a_stop_are_spooled() {
    let (folder, collector) = (Folder::new(), collector());
    collector.fault(ResponseTemplate::hang());
    let config = || spooled(collector.url(), &folder);
    let stats = run(config().shutdown_timeout(Duration::from_millis(300)), &|handle| {
        track(handle, 3);
        wait_until_written(handle);
    });
    assert_eq!((stats.requests, stats.pending, stats.spooled), (1, 0, 3));
}

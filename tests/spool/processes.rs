//! Clients whose processes are killed, or forked.

use std::{
    env,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    TelemetryClient,
    model::EventBuilder,
    spool::{self, Spool},
};
use telemetry_collector::ResponseTemplate;
use telemetry_tests::{long_tests, track};

use crate::{AMPLE, Folder, collector, files, run, spooled, wait_for, wait_until_written};

/// The folder of a child process, its server, and its number of events.
const FOLDER: &str = "TELEMETRY_SPOOL_TEST_FOLDER";
const SERVER: &str = "TELEMETRY_SPOOL_TEST_SERVER";
const EVENTS: &str = "TELEMETRY_SPOOL_TEST_EVENTS";

/// Runs in other processes of this program: tracks events, prints a line when they are in the spool, and lives on.
#[test]
fn child() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let variable = |name| env::var(name).expect("the parent sets it");
    let count: usize = variable(EVENTS).parse().expect("a number");
    let config = spooled(&variable(SERVER), &folder).build().unwrap();
    let client = TelemetryClient::start(config);
    for _ in 0..count.div_ceil(500) {
        track(&client.handle(), 500.min(count));
        wait_until_written(&client.handle());
    }
    println!("written");
    let _ = io::stdin().read(&mut [0]);
}

/// A child process whose events are in the spool.
fn start(folder: &Folder, server: &str, events: usize) -> Child {
    let mut child = Command::new(env::current_exe().expect("this program"));
    child.args(["--exact", "processes::child", "--nocapture"]);
    child.env(FOLDER, &**folder).env(SERVER, server).env(EVENTS, events.to_string());
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    assert!(output.lines().map_while(Result::ok).any(|line| line == "written"));
    child
}

#[test]
fn events_of_killed_processes_are_delivered_by_the_next_one() {
    let (folder, collector) = (Folder::alone(), collector());
    collector.fault(ResponseTemplate::status(503));
    // The first ones are more than fit in memory.
    for events in [10_000, 1] {
        let mut child = start(&folder, collector.url(), events);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(collector.totals().held, 0);
    collector.clear_faults();
    let stats = run(spooled(collector.url(), &folder), &|handle| {
        track(handle, 1);
        wait_for(handle, |stats| stats.delivered == 10_002);
    });
    assert_eq!((stats.tracked, stats.recovered, stats.damaged, stats.expired), (1, 10_001, 0, 0));
    assert_eq!(collector.totals().held, 10_002);
    assert_eq!(files(&folder), [""; 0]);
}

#[test]
fn events_of_a_running_process_are_left_to_it() {
    let (folder, collector) = (Folder::alone(), collector());
    collector.fault(ResponseTemplate::status(503));
    let mut child = start(&folder, collector.url(), 10);
    collector.clear_faults();
    let config = spooled(collector.url(), &folder).build().unwrap();
    let stats = spool::flush(&config, AMPLE).unwrap();
    assert_eq!((stats.recovered, collector.totals().held), (0, 0));
    child.kill().unwrap();
    child.wait().unwrap();
    let stats = spool::flush(&config, AMPLE).unwrap();
    assert_eq!((stats.recovered, stats.delivered, stats.spooled), (10, 10, 0));
}

#[test]
fn events_of_hooks_are_each_in_one_book() {
    let (folder, collector) = (Folder::new(), collector());
    let (threads, calls) = if long_tests() { (8, 12_500) } else { (4, 500) };
    let settings = Spool::in_dir(&*folder).max_files(u64::MAX).max_bytes(u64::MAX);
    let config = spooled(collector.url(), &folder).spool(settings).build().unwrap();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..calls {
                    let event = EventBuilder::new(config.instance_id()).build();
                    spool::put(&config, event).expect("there is room");
                }
            });
        }
    });
    let all = threads * calls;
    collector.fault(ResponseTemplate::status(503));
    let stats = spool::flush(&config, Duration::from_millis(100)).unwrap();
    assert_eq!((stats.delivered, stats.recovered - stats.spooled), (0, 0));
    collector.clear_faults();
    let stats = spool::flush(&config, Duration::from_secs(600)).unwrap();
    assert_eq!((stats.recovered, stats.delivered, stats.spooled), (all, all, 0));
    assert_eq!((stats.damaged, stats.expired, collector.totals().held), (0, 0, all));
}

#[cfg(unix)]
#[test]
fn forked_child_leaves_the_files_of_its_parent_alone() {
    use fork::Fork;

    let (folder, collector) = (Folder::alone(), collector());
    collector.fault(ResponseTemplate::status(503));
    let config = spooled(collector.url(), &folder).build().unwrap();
    let client = TelemetryClient::start(config.clone());
    track(&client.handle(), 7);
    wait_until_written(&client.handle());
    match fork::fork().expect("it can be forked") {
        Fork::Child => {
            // Whatever the child does, it ends: the parent waits for it.
            track(&client.handle(), 1);
            let is_refused = client.flush(AMPLE).is_err();
            let stats = client.stop();
            std::process::exit(i32::from(!is_refused || stats.delivered > 0));
        }
        Fork::Parent(pid) => assert_eq!(fork::waitpid(pid).expect("a child"), 0),
    }
    assert_eq!(files(&folder).len(), 1);
    collector.clear_faults();
    wait_for(&client.handle(), |stats| stats.delivered == 7 || client.flush(AMPLE).is_ok());
    assert_eq!((client.stop().delivered, collector.totals().held), (7, 7));
    assert_eq!(files(&folder), [""; 0]);
}

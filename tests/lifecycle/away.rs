//! Programs with the preset `short_lived` end within a second though their server is away.

use std::{
    any::Any,
    net::{TcpListener, TcpStream},
    time::Duration,
};

use libtest_mimic::Failed;
use mosaicstack_telemetry::{AsyncTelemetryClient, TelemetryClient, global};
use telemetry_collector::{Collector, FaultRule, ResponseTemplate};
use telemetry_tests::{long_tests, now, track};

use crate::{
    Case, case,
    support::{Server, built, multi_thread},
};

/// One second, as the preset promises. In short runs, beside which other tests run, twice as long: the
/// defaults take at least 2.8 s.
fn limit() -> Duration {
    Duration::from_secs(if long_tests() { 1 } else { 2 })
}

/// Runs of which one has to be in time.
const RUNS: usize = 5;

/// Starts a server that is away; returns its URL, and the value that keeps it so.
pub(crate) type Away = fn() -> (String, Box<dyn Any>);

const SERVERS: [(&str, Away); 5] = [
    // Not a free port: another test could open it.
    ("refusing", || ("http://127.0.0.1:1".to_owned(), Box::new(()))),
    ("unroutable", unroutable),
    ("silent", || scripted(ResponseTemplate::hang())),
    ("slow", || scripted(ResponseTemplate::normal().pace(1, Duration::from_secs(1)))),
    ("silent_in_the_handshake", || {
        let (url, server) = scripted(FaultRule::delay_before_reading(Duration::from_secs(3600)));
        (url.replace("http://", "https://"), server)
    }),
];

type Run = fn(&Server);

const PROGRAMS: [(&str, Run); 3] = [
    ("client", |server| {
        let client = TelemetryClient::start(built(server.short_lived()));
        track(&client.handle(), 3);
        drop(client);
    }),
    ("async_client", |server| {
        multi_thread().block_on(async {
            let client = AsyncTelemetryClient::start(built(server.short_lived()));
            track(&client.handle(), 3);
            client.stop().await;
        });
    }),
    ("global_client", |server| {
        let guard = global::init(built(server.short_lived())).expect("the first one");
        track(&global::handle(), 3);
        drop(guard);
    }),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (server, start) in SERVERS {
        for (program, run) in PROGRAMS {
            let name = format!("short_lived_{program}_ends_in_time_with_a_server_{server}");
            // A last request may outlive the client, until the process ends.
            cases.push(Case { away: Some(start), leaks: true, ..case(name, run) });
        }
    }
    cases
}

impl Case {
    pub(crate) fn ends_in_time(&self, url: &str) -> Result<(), Failed> {
        let mut took = Vec::new();
        while took.len() < RUNS {
            let start = now();
            self.run_child(url)?;
            took.push(start.elapsed());
            if took.last() <= Some(&limit()) {
                return Ok(());
            }
        }
        Err(format!("expected at most {:?}, took {took:?}", limit()).into())
    }
}

/// A collector with the same response, or fault, for all requests.
fn scripted(fault: impl Into<FaultRule>) -> (String, Box<dyn Any>) {
    let collector = Collector::start().expect("loopback can be bound");
    collector.fault(fault);
    (collector.url().to_owned(), Box::new(collector))
}

/// A listener whose backlog is full: the system drops further attempts to connect.
fn unroutable() -> (String, Box<dyn Any>) {
    const PATIENCE: Duration = Duration::from_millis(100);
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    let connect = || TcpStream::connect_timeout(&address, PATIENCE).ok();
    let backlog: Vec<_> = std::iter::from_fn(connect).collect();
    (format!("http://{address}"), Box::new((listener, backlog)))
}

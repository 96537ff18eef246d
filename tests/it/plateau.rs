//! The memory of a client is bounded, however much is tracked and whatever the server does.

use std::{thread, time::Duration};

use telemetry_collector::ResponseTemplate;
use telemetry_tests::{Kind, Order, Remote, Settings, long_tests};

use crate::{
    blocking::{ABSENT, collector},
    child::CLIENT,
};

/// Bound of the rise after the first tenth of the events, in KiB.
const MOST: u64 = 4 * 1024;

type Start = fn() -> ResponseTemplate;

/// Tracks `events` through a full queue, at a server with this answer, or without a server.
fn check(kind: Kind, name: &str, answer: Option<Start>, events: u64) {
    let collector = answer.map(|answer| {
        let collector = collector();
        collector.fault(answer());
        collector
    });
    let url = collector.as_ref().map_or(ABSENT, |collector| collector.url());
    let settings = Settings {
        // Attempts all the time: each takes a batch out of the queue and puts it back.
        submit_interval: Duration::from_millis(5),
        request_timeout: Duration::from_millis(50),
        max_retries: 3,
        ..Settings::new(kind, url)
    };
    let mut client = Remote::start(CLIENT, &settings);
    client.order(Order::Track(events / 10));
    // A few attempts first, however slow the machine is.
    let mut tries = (0..1_000).map(|_| client.order(Order::Flush(Duration::from_millis(30))));
    assert!(tries.any(|report| report.requests >= 3), "{kind:?}, {name}");
    let before = client.sizes();
    let _ = client.reset_peak();
    let report = client.order(Order::Track(events - events / 10));
    assert!(report.is_balanced, "{kind:?}, {name}: {report:?}");
    // The queue and the batch in flight.
    assert!(report.pending <= 1_100 && report.requests > 0, "{kind:?}, {name}: {report:?}");
    assert_eq!((report.tracked, report.delivered), (events, 0), "{kind:?}, {name}");
    if let Some((before, after)) = before.zip(client.sizes()) {
        let rise = after.peak.saturating_sub(before.resident);
        assert!(rise < MOST, "{kind:?}, {name}: {rise} KiB");
    }
}

#[test]
fn memory_does_not_grow_however_much_is_tracked() {
    let servers: [(_, Option<Start>, _); 4] = [
        // The most requests are possible where each fails at once.
        ("absent", None, 10_000_000),
        ("busy", Some(|| ResponseTemplate::status(503)), 1_000_000),
        ("closing", Some(ResponseTemplate::close), 1_000_000),
        ("silent", Some(ResponseTemplate::hang), 1_000_000),
    ];
    for (name, answer, long) in servers {
        let events = if long_tests() { long } else { 50_000 };
        thread::scope(|scope| {
            for kind in Kind::ALL {
                scope.spawn(move || check(kind, name, answer, events));
            }
        });
    }
}

//! What a client keeps is bounded, however much is tracked and whatever the server does.

use std::{fmt::Write as _, thread, time::Duration};

use telemetry_collector::Answer;
use telemetry_tests::{Kind, Order, Remote, Report, Settings, Sizes, evidence};

use crate::{
    blocking::{ABSENT, collector},
    child::CLIENT,
};

/// How much memory may rise after the first tenth of the events, in KiB.
const MOST: u64 = 4 * 1024;

/// What the server does; none if nobody listens.
type Server = (&'static str, Option<fn() -> Answer>);

const SERVERS: [Server; 4] = [
    ("absent", None),
    ("busy", Some(|| Answer::status(503))),
    ("closing", Some(Answer::close)),
    ("silent", Some(Answer::never)),
];

/// Tracks that many events through a full queue; returns how many KiB memory rose by after the
/// first tenth of them.
fn rise(kind: Kind, (name, answer): Server, events: u64) -> (Report, Option<u64>) {
    let collector = answer.map(|answer| {
        let collector = collector();
        collector.fault(answer());
        collector
    });
    let url = collector.as_ref().map_or(ABSENT, |collector| collector.url());
    let settings = Settings {
        // Attempts all the time: each takes a batch out and puts it back.
        submit_interval: Duration::from_millis(5),
        request_timeout: Duration::from_millis(50),
        max_retries: 3,
        ..Settings::new(kind, url)
    };
    let mut client = Remote::start(CLIENT, &settings);
    client.order(Order::Track(events / 10));
    // A few attempts are behind it, however slow the machine.
    let mut tries = (0..1_000).map(|_| client.order(Order::Flush(Duration::from_millis(30))));
    assert!(tries.any(|report| report.requests >= 3), "{kind:?}, {name}");
    let before = Sizes::of(client.id());
    let _ = Sizes::forget_peak(client.id());
    let report = client.order(Order::Track(events - events / 10));
    let after = Sizes::of(client.id());
    assert!(report.is_balanced, "{kind:?}, {name}: {report:?}");
    // The queue and the batch that is under way.
    assert!(report.pending <= 1_100 && report.requests > 0, "{kind:?}, {name}: {report:?}");
    assert_eq!((report.tracked, report.delivered), (events, 0), "{kind:?}, {name}");
    let rise = before.zip(after).map(|(before, after)| after.peak.saturating_sub(before.resident));
    assert!(rise.is_none_or(|rise| rise < MOST), "{kind:?}, {name}: {rise:?} KiB");
    (report, rise)
}

#[test]
fn memory_does_not_grow_however_much_is_tracked() {
    let mut sums = (0, 0);
    let mut said = String::new();
    for server in SERVERS {
        // Against the one that answers at once, the most.
        let events =
            evidence::scale(50_000, if server.1.is_none() { 10_000_000 } else { 1_000_000 });
        // Two processors, two clients.
        let both = thread::scope(|scope| {
            Kind::ALL
                .map(|kind| scope.spawn(move || rise(kind, server, events)))
                .map(|thread| thread.join().expect("memory is bounded"))
        });
        for (kind, (report, rise)) in Kind::ALL.into_iter().zip(both) {
            sums = (sums.0 + report.tracked, sums.1 + report.requests);
            let rise = rise.map_or_else(|| "?".into(), |rise| rise.to_string());
            let _ = write!(said, " {rise} ({kind:?}, {})", server.0);
        }
    }
    evidence::tried(
        "R2",
        format_args!(
            "{} events through full queues of 1,000, with each of {} servers that take nothing and \
             each client, beside {} requests; after the first tenth, memory rose by KiB:{said}",
            sums.0,
            SERVERS.len(),
            sums.1,
        ),
    );
}

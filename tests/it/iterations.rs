//! Repeated stops during which another thread tracks events.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use mosaicstack_telemetry::transport::Request;
use telemetry_tests::{config, events, long_tests, status, track};
use uuid::Uuid;

use crate::{
    client::{Client, Kind},
    support::AMPLE,
};

/// Returns the number of events tracked during the stop.
fn iterate(kind: Kind, number: usize) -> u64 {
    let taken = Arc::<Mutex<Vec<Uuid>>>::default();
    let transport = {
        let taken = Arc::clone(&taken);
        move |request: Request| {
            let ids = events(request.body()).into_iter().map(|event| event.event_id);
            taken.lock().expect("no panic").extend(ids);
            Ok(status(200))
        }
    };
    let config = config("https://example.com").batch_size(1 + number % 5).shutdown_timeout(AMPLE);
    let client =
        Client::with_transport(kind, config.build().expect("a valid configuration"), transport);
    let handle = client.handle();
    let before = track(&handle, 1 + number % 12);
    let is_over = AtomicBool::new(false);
    let delivered = thread::scope(|scope| {
        scope.spawn(|| {
            // Too few for an eviction.
            for _ in 0..500 {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                track(&handle, 1);
                thread::yield_now();
            }
        });
        let stats = client.stop();
        is_over.store(true, Ordering::Relaxed);
        stats.delivered
    });
    let (mut taken, stats) = (taken.lock().expect("no panic").clone(), handle.stats());
    assert!(delivered >= before.len() as u64 && stats.is_balanced(), "{number}: {stats:?}");
    assert_eq!(taken[..before.len()], before, "{number}: in order");
    assert_eq!(stats.delivered, taken.len() as u64, "{number}: {stats:?}");
    let all = stats.delivered + stats.dropped.closed + stats.pending;
    assert_eq!(stats.tracked, all, "{number}: {stats:?}");
    taken.sort_unstable();
    assert!(taken.is_sorted_by(|one, next| one < next), "{number}: delivered twice");
    stats.tracked - before.len() as u64
}

#[test]
fn events_tracked_before_stop_are_delivered_exactly_once() {
    for kind in Kind::ALL {
        let iterations = if long_tests() { 10_000 } else { 300 };
        let during: u64 = (0..iterations).map(|number| iterate(kind, number)).sum();
        assert!(during > 0, "nothing was tracked during a stop");
    }
}

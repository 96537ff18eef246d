//! Track, flush and stop, again and again, while another thread tracks.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    TelemetryHandle,
    transport::{Request, Response},
};
use telemetry_tests::{Client, Kind, config, events, long_tests, track};
use uuid::Uuid;

const AMPLE: Duration = Duration::from_secs(60);

/// Tracks from threads that begin together; returns the ids.
fn track_concurrently(handle: &TelemetryHandle, threads: usize, each: usize) -> Vec<Uuid> {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let tracking = || {
            start.wait();
            track(handle, each)
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(tracking)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// Returns the number of events tracked during the stop.
fn iterate(kind: Kind, number: usize) -> u64 {
    let (threads, each, batch) = (1 + number % 3, 1 + number / 3 % 4, 1 + number / 12 % 5);
    let taken = Arc::<Mutex<Vec<Uuid>>>::default();
    let transport = {
        let taken = Arc::clone(&taken);
        move |request: Request| {
            let ids = events(request.body()).into_iter().map(|event| event.event_id);
            taken.lock().expect("no panic").extend(ids);
            Ok(Response::default())
        }
    };
    let config = config("https://example.com").batch_size(batch).shutdown_timeout(AMPLE);
    let client =
        Client::with_transport(kind, config.build().expect("a valid configuration"), transport);
    let handle = client.handle();
    let mut before = track_concurrently(&handle, threads, each);
    if number / 60 % 2 == 1 {
        assert_eq!(client.flush(AMPLE), Ok(()), "iteration {number}");
        assert_eq!(taken.lock().expect("no panic").len(), before.len(), "iteration {number}");
        before.extend(track_concurrently(&handle, threads, each));
    }
    let is_over = AtomicBool::new(false);
    let stats = thread::scope(|scope| {
        scope.spawn(|| {
            // So few that none is evicted.
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
        stats
    });
    assert!(stats.delivered >= before.len() as u64, "iteration {number}: {stats:?}");

    let (taken, stats) = (taken.lock().expect("no panic"), handle.stats());
    for id in &before {
        let times = taken.iter().filter(|it| *it == id).count();
        assert_eq!(times, 1, "iteration {number}: {id} of {stats:?}");
    }
    assert!(stats.is_balanced(), "iteration {number}: {stats:?}");
    assert_eq!(stats.delivered, taken.len() as u64, "iteration {number}: {stats:?}");
    let all = stats.delivered + stats.dropped.closed + stats.pending;
    assert_eq!(stats.tracked, all, "iteration {number}: {stats:?}");
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

//! The last drain.

use super::*;

#[test]
fn shutdown_drains_the_queue_at_once_and_drops_later_events() {
    let mut simulation = simulation();
    track(&simulation.handle, 250);
    simulation.close(5 * SECOND);
    track(&simulation.handle, 7);
    assert!(!simulation.run_until(SECOND, accept));
    assert_eq!(sizes(&simulation), [100, 100, 50]);
    assert_eq!(simulation.now(), Duration::ZERO);
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.dropped.closed, stats.pending), (250, 7, 0));
    assert!(stats.is_balanced());
    assert!(matches!(simulation.step(), Next::Done), "from now on");
}

#[test]
fn shutdown_in_a_pause_tries_once() {
    let busy = |_: &Sent| Ok(with_retry_after(429, "600"));
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    simulation.run_until(SECOND, busy);
    simulation.close(5 * SECOND);
    assert!(!simulation.run_until(1_000 * INTERVAL, busy));
    assert_eq!(times(&simulation), [Duration::ZERO, SECOND]);
    assert_eq!(simulation.now(), SECOND, "the pause is longer than the deadline");
    assert_eq!(simulation.handle.stats().pending, 100);
}

#[test]
fn shutdown_ends_by_its_deadline_with_any_server() {
    let replies: [fn() -> Reply; 6] = [
        || Ok(status(200)),
        || Ok(status(503)),
        || Ok(status(403)),
        || Ok(status(400)),
        || Ok(with_retry_after(503, "0")),
        || Err(TransportError::Timeout),
    ];
    for reply in replies {
        for deadline in [Duration::ZERO, SECOND / 20, SECOND, 60 * SECOND] {
            let mut simulation = simulation();
            track(&simulation.handle, 1000);
            simulation.close(deadline);
            // Each request takes as long as its timeout allows.
            loop {
                match simulation.step() {
                    Next::Sent(delivery) => {
                        let timeout = simulation.sent.last().unwrap().timeout;
                        assert!(simulation.now() + timeout <= deadline);
                        simulation.advance(timeout);
                        simulation.complete(delivery, reply());
                    }
                    Next::Waits(until) => simulation.advance(until - simulation.now()),
                    Next::Done => break,
                }
            }
            assert!(simulation.now() <= deadline, "{:?} {deadline:?}", simulation.now());
            assert!(simulation.handle.stats().is_balanced());
        }
    }
}

//! The last drain.

use super::*;

#[test]
fn closing_drains_everything_at_once() {
    let mut simulation = simulation();
    track(&simulation.handle, 250);
    let (now, deadline) = (simulation.instant(), simulation.instant() + 5 * SECOND);
    simulation.submitter.close(now, deadline);
    track(&simulation.handle, 7);
    assert!(!simulation.run_until(SECOND, accept));
    assert_eq!(sizes(&simulation), [100, 100, 50]);
    assert_eq!(simulation.now(), Duration::ZERO);
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.dropped.closed, stats.pending), (250, 7, 0));
    assert!(stats.is_balanced());
    assert!(matches!(simulation.step(), Next::Done), "for ever");
}

#[test]
fn closing_tries_once_in_spite_of_a_gate() {
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    simulation.run_until(SECOND, |_| Ok(with_header(429, "retry-after", "600")));
    let (now, deadline) = (simulation.instant(), simulation.instant() + 5 * SECOND);
    simulation.submitter.close(now, deadline);
    assert!(!simulation.run_until(YEAR, |_| Ok(with_header(429, "retry-after", "600"))));
    assert_eq!(times(&simulation), [Duration::ZERO, SECOND]);
    assert_eq!(simulation.now(), SECOND, "no use in waiting for longer than the deadline");
    assert_eq!(simulation.handle.stats().pending, 100);
}

#[test]
fn closing_ends_by_the_deadline_whatever_the_server_does() {
    let answers: [fn() -> Answered; 6] = [
        || Ok(status(200)),
        || Ok(status(503)),
        || Ok(status(403)),
        || Ok(status(400)),
        || Ok(with_header(503, "retry-after", "0")),
        || Err(TransportError::Timeout),
    ];
    for answer in answers {
        for deadline in [Duration::ZERO, Duration::from_millis(50), SECOND, 60 * SECOND] {
            let mut simulation = simulation();
            track(&simulation.handle, 1000);
            let now = simulation.instant();
            simulation.submitter.close(now, now + deadline);
            // An answer takes as long as it may.
            loop {
                match simulation.step() {
                    Next::Sent(delivery) => {
                        let timeout = simulation.sent.last().unwrap().timeout;
                        assert!(simulation.now() + timeout <= deadline);
                        simulation.advance(timeout);
                        simulation.complete(delivery, answer());
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

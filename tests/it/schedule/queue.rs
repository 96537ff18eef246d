//! Evictions, and deliveries that are dropped.

use super::*;

#[test]
fn eviction_of_events_in_flight_is_decided_by_the_outcome() {
    for (code, delivered, evicted) in [(200, 10, 0), (503, 0, 4)] {
        let mut simulation = small_queue();
        let tracked = track(&simulation.handle, 10);
        let delivery = simulation.send();
        let newer = track(&simulation.handle, 4);
        let stats = simulation.handle.stats();
        assert_eq!((stats.evicted, stats.pending), (0, 14), "undecided");
        simulation.complete(delivery, Ok(status(code)));
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.evicted), (delivered, evicted));
        assert!(stats.is_balanced());
        let kept = if code == 200 { newer } else { [&tracked[4..], &newer].concat() };
        simulation.run_until(2 * INTERVAL, accept);
        assert_eq!(simulation.sent.last().unwrap().ids, kept, "in order");
    }
}

#[test]
fn evictions_are_logged_once_until_the_queue_has_room() {
    let log = Log::new();
    let mut simulation = small_queue();
    track(&simulation.handle, 10);
    simulation.run_until(Duration::ZERO, |_| Ok(with_retry_after(503, "9")));
    let woken = simulation.woken();
    track(&simulation.handle, 500);
    assert_eq!(simulation.woken(), woken + 2, "for a full batch and for the evictions, once each");
    simulation.run_until(simulation.now(), accept);
    assert_eq!(log.lines("WARN mosaicstack_telemetry: the queue is full").len(), 1);
    track(&simulation.handle, 500);
    simulation.run_until(simulation.now() + SECOND, accept);
    assert_eq!(log.lines("the queue is full").len(), 1);
    simulation.run_until(simulation.now() + 2 * INTERVAL, accept);
    assert_eq!(log.lines("1000 events were evicted").len(), 1);
    track(&simulation.handle, 11);
    simulation.run_until(simulation.now(), accept);
    assert_eq!(log.lines("the queue is full").len(), 2, "full again");
}

#[test]
fn dropped_delivery_returns_its_events_and_is_retried_after_a_delay() {
    let mut simulation = simulation();
    let tracked = track(&simulation.handle, 100);
    let delivery = simulation.send();
    assert_eq!(delivery.len(), 100);
    assert!(delivery.events().map(|event| event.event_id).eq(tracked.iter().copied()));
    drop(delivery);
    assert!(simulation.handle.stats().is_balanced());
    simulation.run_until(SECOND, accept);
    assert_eq!(simulation.sent[1].ids, tracked);
    assert_eq!(simulation.sent[1].at, SECOND / 2, "not at once: that would be a busy loop");
    assert_eq!(simulation.handle.stats().delivered, 100);
}

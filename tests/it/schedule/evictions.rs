//! A full queue, and attempts that come to nothing.

use super::*;

#[test]
fn what_is_evicted_under_way_is_booked_by_the_answer() {
    for (answer, delivered, evicted) in [(200, 10, 0), (503, 0, 4)] {
        let mut simulation = small_queue();
        let tracked = track(&simulation.handle, 10);
        let Next::Sent(delivery) = simulation.step() else { panic!("the queue is full") };
        let newer = track(&simulation.handle, 4);
        let stats = simulation.handle.stats();
        assert_eq!((stats.evicted, stats.pending), (0, 14), "undecided");
        simulation.complete(delivery, Ok(status(answer)));
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.evicted), (delivered, evicted));
        assert!(stats.is_balanced());
        let kept = if answer == 200 { newer } else { [&tracked[4..], &newer].concat() };
        simulation.run_until(2 * INTERVAL, accept);
        assert_eq!(simulation.sent.last().unwrap().ids, kept, "the order is kept");
    }
}

#[test]
fn evictions_are_said_once_a_spell() {
    let log = Log::new();
    let mut simulation = small_queue();
    track(&simulation.handle, 10);
    simulation.run_until(Duration::ZERO, |_| Ok(with_header(503, "retry-after", "9")));
    let woken = simulation.woken();
    track(&simulation.handle, 500);
    assert_eq!(simulation.woken(), woken + 2, "for a full batch and for the spell, once each");
    simulation.run_until(simulation.now(), accept);
    assert_eq!(log.lines("WARN mosaicstack_telemetry: the queue is full").len(), 1);
    track(&simulation.handle, 500);
    simulation.run_until(simulation.now() + SECOND, accept);
    assert_eq!(log.lines("the queue is full").len(), 1);
    simulation.run_until(simulation.now() + 2 * INTERVAL, accept);
    assert_eq!(log.lines("1000 events were evicted").len(), 1);
    track(&simulation.handle, 11);
    simulation.run_until(simulation.now(), accept);
    assert_eq!(log.lines("the queue is full").len(), 2, "a new spell");
}

#[test]
fn a_delivery_that_is_dropped_puts_its_events_back() {
    let mut simulation = simulation();
    let tracked = track(&simulation.handle, 100);
    let Next::Sent(delivery) = simulation.step() else { panic!("a batch is full") };
    assert_eq!(delivery.len(), 100);
    assert!(delivery.events().map(|event| event.event_id).eq(tracked.iter().copied()));
    drop(delivery);
    assert!(simulation.handle.stats().is_balanced());
    simulation.run_until(SECOND, accept);
    assert_eq!(simulation.sent[1].ids, tracked);
    assert_eq!(simulation.sent[1].at, SECOND / 2, "as if it had failed, to be no hot loop");
    assert_eq!(simulation.handle.stats().delivered, 100);
}

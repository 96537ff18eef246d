//! Interval and full batches, without failures.

use super::*;

#[test]
fn less_than_a_batch_waits_for_the_interval() {
    let config = config("https://example.com").request_timeout(3 * SECOND).build().unwrap();
    let mut simulation = Simulation::new(&config);
    let tracked = track(&simulation.handle, 3);
    simulation.run_until(INTERVAL - SECOND, accept);
    assert!(simulation.sent.is_empty());
    simulation.run_until(10 * INTERVAL, accept);
    assert_eq!(times(&simulation), [INTERVAL], "an empty queue sends nothing");
    assert_eq!(ids(&simulation), tracked);
    assert_eq!(simulation.sent[0].timeout, 3 * SECOND);
    assert_eq!(simulation.woken(), 0);
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.pending, stats.requests), (3, 0, 1));
    track(&simulation.handle, 1);
    simulation.run_until(11 * INTERVAL, accept);
    assert_eq!(times(&simulation), [INTERVAL, 11 * INTERVAL]);
}

#[test]
fn interval_with_jitter_is_shortened_by_up_to_a_tenth() {
    let config = config("https://example.com").interval_jitter(true).build().unwrap();
    let mut simulation = Simulation::new(&config);
    let handle = simulation.handle.clone();
    track(&handle, 1);
    // The wait after a cycle that gave up has the same jitter.
    let mut refused = false;
    simulation.run_until(50 * INTERVAL, |_| {
        track(&handle, 1);
        refused = !refused;
        Ok(status(if refused { 403 } else { 200 }))
    });
    let times = times(&simulation);
    assert!(times.len() >= 50, "{}", times.len());
    assert!(times[0] < INTERVAL);
    let waits: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.iter().all(|wait| *wait > INTERVAL * 9 / 10 && *wait <= INTERVAL), "{waits:?}");
    assert!(waits.windows(2).all(|pair| pair[0] != pair[1]), "{waits:?}");
}

#[test]
fn cycle_sends_what_was_queued_when_it_began() {
    let config = config("https://example.com").early_flush(false).build().unwrap();
    let mut simulation = Simulation::new(&config);
    let handle = simulation.handle.clone();
    let tracked = track(&handle, 250);
    simulation.run_until(INTERVAL, |_| {
        track(&handle, 1);
        Ok(status(200))
    });
    // Later events fill up the last batch; the rest waits.
    assert_eq!(sizes(&simulation), [100, 100, 52]);
    assert_eq!(ids(&simulation)[..250], tracked);
    assert_eq!(simulation.handle.stats().pending, 1);
}

#[test]
fn full_batch_wakes_the_driver_once_and_is_sent_at_once() {
    let mut simulation = simulation();
    track(&simulation.handle, 99);
    simulation.run_until(SECOND, accept);
    assert!(simulation.sent.is_empty());
    for (tracked, woken) in [(0, 0), (1, 1), (50, 1)] {
        track(&simulation.handle, tracked);
        assert_eq!(simulation.woken(), woken, "after {tracked} more");
    }
    simulation.run_until(SECOND, accept);
    assert_eq!(times(&simulation), [SECOND, SECOND]);
    assert_eq!(sizes(&simulation), [100, 50]);
    track(&simulation.handle, 100);
    assert_eq!(simulation.woken(), 2);
}

#[test]
fn early_flush_is_configurable_and_fits_small_queues() {
    let cases = [(10, true, 10, &[10][..]), (1_000, false, 500, &[])];
    for (max_queue_size, early_flush, count, expected) in cases {
        let config = config("https://example.com").max_queue_size(max_queue_size);
        let mut simulation = Simulation::new(&config.early_flush(early_flush).build().unwrap());
        track(&simulation.handle, count);
        assert_eq!(simulation.woken(), usize::from(early_flush));
        simulation.run_until(INTERVAL - SECOND, accept);
        assert_eq!(sizes(&simulation), expected);
        assert_eq!(simulation.handle.stats().evicted, 0);
    }
}

#[test]
fn dry_run_logs_batches_and_sends_nothing() {
    let log = Log::new();
    let config = config("https://tel-api.mosaicstack.dev").dry_run(true).build().unwrap();
    let mut simulation = Simulation::new(&config);
    let event = EventBuilder::new(Uuid::from_u128(1)).model("m\u{1b}\"x").build();
    let json = serde_json::to_string(&event).unwrap();
    simulation.handle.track(event);
    simulation.run_until(INTERVAL, accept);
    assert!(simulation.sent.is_empty());
    let stats = simulation.handle.stats();
    assert_eq!((stats.dropped.dry_run, stats.pending, stats.delivered), (1, 0, 0));
    assert!(stats.is_balanced());
    assert_eq!(
        log.lines("[DRY RUN]"),
        [
            "INFO mosaicstack_telemetry: [DRY RUN] Would submit batch of 1 events to \
             https://tel-api.mosaicstack.dev/v1/events/batch",
            &format!("DEBUG mosaicstack_telemetry: [DRY RUN] {json}"),
        ]
    );
}

#[test]
fn dry_run_logs_one_batch_each_poll_and_no_more_than_were_queued() {
    let log = Log::new();
    let config = config("https://example.com").dry_run(true).early_flush(false).build().unwrap();
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 250);
    simulation.flush();
    for lines in 1..=3 {
        let next = simulation.step();
        assert_eq!(log.lines("Would submit").len(), lines);
        assert!(matches!(next, Next::Waits(Duration::ZERO)), "{next:?}");
        track(&simulation.handle, 100);
    }
    assert!(matches!(simulation.step(), Next::Waits(INTERVAL)));
    let stats = simulation.handle.stats();
    assert_eq!((log.count(), stats.dropped.dry_run, stats.pending), (303, 300, 250));
}

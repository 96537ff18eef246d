//! When events are sent, as long as all is well.

use super::*;

#[test]
fn events_wait_for_the_interval() {
    let mut simulation = simulation();
    let tracked = track(&simulation.handle, 3);
    simulation.run_until(INTERVAL - SECOND, accept);
    assert!(simulation.sent.is_empty());
    simulation.run_until(INTERVAL, accept);
    assert_eq!(times(&simulation), [INTERVAL]);
    assert_eq!(ids(&simulation), tracked);
    assert_eq!(simulation.woken(), 0);
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.pending, stats.requests), (3, 0, 1));
}

#[test]
fn the_interval_is_shortened_at_random_unless_it_is_to_be_exact() {
    let config = config("https://example.com").interval_jitter(true).build().unwrap();
    let mut simulation = Simulation::new(&config);
    let handle = simulation.handle.clone();
    track(&handle, 1);
    // Every other cycle is given up: the wait after it is one like the others.
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
fn an_empty_queue_sends_nothing() {
    let mut simulation = simulation();
    simulation.run_until(10 * INTERVAL, accept);
    assert!(simulation.sent.is_empty());
    track(&simulation.handle, 1);
    simulation.run_until(11 * INTERVAL, accept);
    assert_eq!(times(&simulation), [11 * INTERVAL]);
}

#[test]
fn a_cycle_sends_all_that_was_queued_when_it_began_and_no_more() {
    let config = config("https://example.com").early_flush(false).build().unwrap();
    let mut simulation = Simulation::new(&config);
    let handle = simulation.handle.clone();
    let tracked = track(&handle, 250);
    simulation.run_until(INTERVAL, |_| {
        track(&handle, 1);
        Ok(status(200))
    });
    // What was tracked meanwhile fills up the last batch; the rest waits.
    assert_eq!(sizes(&simulation), [100, 100, 52]);
    assert_eq!(ids(&simulation)[..250], tracked);
    assert_eq!(simulation.handle.stats().pending, 1);
}

#[test]
fn a_full_batch_does_not_wait() {
    let mut simulation = simulation();
    track(&simulation.handle, 99);
    simulation.run_until(SECOND, accept);
    assert!(simulation.sent.is_empty());
    assert_eq!(simulation.woken(), 0);
    track(&simulation.handle, 1);
    assert_eq!(simulation.woken(), 1);
    track(&simulation.handle, 50);
    assert_eq!(simulation.woken(), 1, "woken once until it looks");
    simulation.run_until(SECOND, accept);
    assert_eq!(times(&simulation), [SECOND, SECOND]);
    assert_eq!(sizes(&simulation), [100, 50]);
}

#[test]
fn the_driver_is_woken_for_each_full_batch() {
    let mut simulation = simulation();
    for batch in 1..=3 {
        track(&simulation.handle, 100);
        assert_eq!(simulation.woken(), batch);
        simulation.run_until(SECOND, accept);
    }
    assert_eq!(sizes(&simulation), [100, 100, 100]);
}

#[test]
fn a_queue_smaller_than_a_batch_is_flushed_when_it_is_full() {
    let config = config("https://example.com").max_queue_size(10).build().unwrap();
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 10);
    assert_eq!(simulation.woken(), 1);
    simulation.run_until(SECOND, accept);
    assert_eq!(sizes(&simulation), [10]);
    assert_eq!(simulation.handle.stats().evicted, 0);
}

#[test]
fn a_full_batch_waits_if_that_is_configured() {
    let config = config("https://example.com").early_flush(false).build().unwrap();
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 500);
    assert_eq!(simulation.woken(), 0);
    simulation.run_until(INTERVAL - SECOND, accept);
    assert!(simulation.sent.is_empty());
}

#[test]
fn requests_have_the_configured_time_out() {
    let config = config("https://example.com").request_timeout(3 * SECOND).build().unwrap();
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 1);
    simulation.run_until(INTERVAL, accept);
    assert_eq!(simulation.sent[0].timeout, 3 * SECOND);
}

#[test]
fn a_dry_run_logs_and_sends_nothing() {
    let log = Log::new();
    let config = config("https://tel-api.mosaicstack.dev").dry_run(true).build().unwrap();
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 1);
    simulation.run_until(INTERVAL, accept);
    assert!(simulation.sent.is_empty());
    let stats = simulation.handle.stats();
    assert_eq!((stats.dropped.dry_run, stats.pending, stats.delivered), (1, 0, 0));
    assert!(stats.is_balanced());
    assert_eq!(
        log.lines("[DRY RUN]"),
        ["INFO mosaicstack_telemetry: [DRY RUN] Would submit batch of 1 events to \
          https://tel-api.mosaicstack.dev/v1/events/batch"]
    );
}

#[test]
fn disabled_telemetry_counts_and_drops() {
    let mut simulation = Simulation::new(&TelemetryConfig::disabled());
    track(&simulation.handle, 3);
    assert!(matches!(simulation.step(), Next::Done));
    let stats = simulation.handle.stats();
    assert_eq!((stats.tracked, stats.dropped.disabled, stats.pending), (3, 3, 0));
    assert!(stats.is_balanced());
}

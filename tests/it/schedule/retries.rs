//! Transient failures: backoff, `Retry-After`, and the end of a pause.

use super::*;

#[test]
fn transient_failure_is_retried_with_growing_delays_and_in_the_next_cycle() {
    let mut simulation = simulation();
    let tracked = track(&simulation.handle, 2);
    simulation.run_until(INTERVAL + 60 * SECOND, |_| Ok(status(503)));
    let times = times(&simulation);
    assert_eq!(times.len(), 4, "one attempt and three retries");
    for (pair, milliseconds) in times.windows(2).zip([500, 1000, 2000]) {
        let delay = pair[1] - pair[0];
        let base = Duration::from_millis(milliseconds);
        assert!(delay >= base / 2 && delay < base * 3 / 2, "{delay:?} for {base:?}");
    }
    let stats = simulation.handle.stats();
    assert_eq!((stats.pending, stats.health), (2, Health::Retrying));
    let next_cycle = *times.last().unwrap() + INTERVAL;
    simulation.run_until(next_cycle, accept);
    assert_eq!(simulation.sent.len(), 5);
    assert_eq!(simulation.sent[4].at, next_cycle);
    for sent in &simulation.sent {
        assert_eq!(sent.ids, tracked);
        assert_eq!(sent.body, simulation.sent[0].body, "the same bytes each time");
    }
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.requests, stats.retried), (2, 5, 4));
    assert_eq!(stats.health, Health::Good);
}

#[test]
fn success_resets_the_number_of_retries() {
    let mut simulation = simulation();
    track(&simulation.handle, 300);
    let mut attempt = 0;
    simulation.run_until(SECOND * 60, |_| {
        attempt += 1;
        Ok(status(if attempt % 4 == 0 { 200 } else { 503 }))
    });
    assert_eq!(simulation.handle.stats().delivered, 300);
    assert_eq!(simulation.sent.len(), 12);
}

#[test]
fn retry_after_is_honored_spread_and_clamped() {
    type Case = (fn() -> Simulation, &'static str, Range<u64>);
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    // With the last retry, the pause ends the next cycle's wait where it is longer.
    let cases: [Case; 6] = [
        (simulation, "120", 120..132),
        (simulation, "119.25", 120..132),
        (simulation, "99999999999", 3_600..3_960),
        (simulation, date, 30..33),
        (no_retries, "600", 600..660),
        (no_retries, "1", 300..301),
    ];
    for (simulation, value, expected) in cases {
        let mut simulation = simulation();
        track(&simulation.handle, 100);
        simulation.run_until(5_000 * SECOND, |sent| {
            let mut response = with_retry_after(if sent.at.is_zero() { 429 } else { 200 }, value);
            // The server's own clock is decades behind.
            let date = http::HeaderValue::from_static("Sun, 06 Nov 1994 08:49:07 GMT");
            response.headers_mut().insert("date", date);
            Ok(response)
        });
        let times = times(&simulation);
        assert_eq!((times.len(), times[0]), (2, Duration::ZERO));
        assert!(expected.contains(&times[1].as_secs()), "{value}: {times:?}");
        assert_eq!(simulation.handle.stats().delivered, 100);
    }
}

#[test]
fn retry_after_date_without_a_date_header_uses_the_clock_of_the_client() {
    // The monotonic clock stands still while the machine is suspended.
    for (suspended, date) in
        [(0, "Thu, 01 Jan 1970 00:00:40 GMT"), (8 * 60 * 60, "Thu, 01 Jan 1970 08:00:40 GMT")]
    {
        let mut simulation = simulation();
        track(&simulation.handle, 100);
        simulation.advance(10 * SECOND);
        simulation.suspend(suspended * SECOND);
        let delivery = simulation.send();
        let outcome = simulation.complete(delivery, Ok(with_retry_after(429, date)));
        assert_eq!(outcome, DeliveryOutcome::Retry { retry_after: Some(30 * SECOND) });
    }
}

#[test]
fn pause_is_ended_by_time_alone() {
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    simulation.run_until(SECOND, |_| Ok(with_retry_after(503, "600")));
    assert_eq!(simulation.sent.len(), 1);
    for second in 2..600 {
        track(&simulation.handle, 1);
        simulation.flush();
        simulation.run_until(second * SECOND, accept);
    }
    assert_eq!(simulation.sent.len(), 1, "no requests in the pause");
    simulation.run_until(660 * SECOND, accept);
    assert_eq!(simulation.handle.stats().delivered, 698);
}

#[test]
fn full_batches_after_a_failure_wait_for_the_next_cycle() {
    for refusal in [403, 503] {
        let mut simulation = simulation();
        for second in 0..60 {
            track(&simulation.handle, 100);
            simulation.run_until(second * SECOND, |_| Ok(status(refusal)));
        }
        assert_eq!(simulation.sent.len(), if refusal == 403 { 1 } else { 4 });
    }
}

#[test]
fn flush_after_a_cycle_that_gave_up_sends_at_once() {
    let mut simulation = simulation();
    track(&simulation.handle, 1);
    for requests in 1..=2 {
        simulation.flush();
        simulation.run_until(simulation.now(), |_| Ok(status(403)));
        assert_eq!(simulation.sent.len(), requests);
        simulation.advance(SECOND);
    }
    assert_eq!(times(&simulation), [Duration::ZERO, SECOND]);
}

#[test]
fn flush_with_the_last_retry_spent_waits_for_the_pause() {
    let mut simulation = no_retries();
    track(&simulation.handle, 100);
    simulation.run_until(SECOND / 2, |_| Ok(with_retry_after(429, "1")));
    for (at, requests) in [(999, 1), (1_500, 2)] {
        let at = Duration::from_millis(at);
        simulation.run_until(at, accept);
        simulation.flush();
        simulation.run_until(at, accept);
        assert_eq!(simulation.sent.len(), requests, "{at:?}");
    }
}

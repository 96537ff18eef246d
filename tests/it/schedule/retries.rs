//! What may pass: back-off, `Retry-After`, and what opens the gate.

use super::*;

#[test]
fn a_transient_failure_is_tried_again_with_growing_delays_and_then_next_cycle() {
    let mut simulation = simulation();
    let tracked = track(&simulation.handle, 2);
    simulation.run_until(INTERVAL + 60 * SECOND, busy);
    let times = times(&simulation);
    assert_eq!(times.len(), 4, "one attempt and three retries");
    for (pair, milliseconds) in times.windows(2).zip([500, 1000, 2000]) {
        let delay = pair[1] - pair[0];
        let base = Duration::from_millis(milliseconds);
        assert!(delay >= base / 2 && delay < base * 3 / 2, "{delay:?} for {base:?}");
    }
    assert_eq!(simulation.handle.stats().pending, 2);
    assert_eq!(simulation.handle.stats().health, Health::Retrying);
    let before = simulation.sent.len();
    let next_cycle = *times.last().unwrap() + INTERVAL;
    simulation.run_until(next_cycle, accept);
    assert_eq!(simulation.sent.len(), before + 1);
    assert_eq!(simulation.sent[before].at, next_cycle);
    for sent in &simulation.sent {
        assert_eq!(sent.ids, tracked);
        assert_eq!(sent.body, simulation.sent[0].body, "the same bytes each time");
    }
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.requests, stats.retried), (2, 5, 4));
    assert_eq!(stats.health, Health::Good);
}

#[test]
fn every_kind_of_transient_failure_is_one() {
    let failures: [fn() -> Answered; 6] = [
        || Ok(status(408)),
        || Ok(status(429)),
        || Ok(status(500)),
        || Ok(status(599)),
        || Err(TransportError::Timeout),
        || Err(TransportError::network("reset")),
    ];
    for failure in failures {
        let mut simulation = simulation();
        track(&simulation.handle, 1);
        simulation.run_until(INTERVAL + 60 * SECOND, |_| failure());
        assert_eq!(simulation.sent.len(), 4);
        assert_eq!(simulation.handle.stats().pending, 1);
    }
}

#[test]
fn retries_are_configurable() {
    for max in [0, 1, 7] {
        let config = config("https://example.com").max_retries(max).build().unwrap();
        let mut simulation = Simulation::new(&config);
        track(&simulation.handle, 1);
        simulation.run_until(2 * INTERVAL - SECOND, busy);
        assert_eq!(simulation.sent.len(), max as usize + 1);
    }
}

#[test]
fn a_success_starts_counting_retries_anew() {
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
fn retry_after_holds_everything_back_and_loses_nothing() {
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    let handle = simulation.handle.clone();
    simulation.run_until(200 * SECOND, |sent| {
        if sent.at > Duration::ZERO {
            return Ok(status(200));
        }
        track(&handle, 100); // a full batch does not open the gate
        Ok(with_header(429, "retry-after", "120"))
    });
    let times = times(&simulation);
    assert_eq!(times[0], Duration::ZERO);
    assert!(times[1] >= 120 * SECOND, "not before the server wants it");
    assert!(times[1] < 132 * SECOND, "and not much later: {:?}", times[1]);
    assert_eq!(simulation.handle.stats().delivered, 200);
}

#[test]
fn nothing_opens_a_gate_but_time() {
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    simulation.run_until(SECOND, |_| Ok(with_header(503, "retry-after", "600")));
    assert_eq!(simulation.sent.len(), 1);
    for second in 2..600 {
        track(&simulation.handle, 1);
        let now = simulation.instant();
        simulation.submitter.flush(now);
        simulation.run_until(second * SECOND, accept);
    }
    assert_eq!(simulation.sent.len(), 1, "zero requests inside the window");
    simulation.run_until(660 * SECOND, accept);
    assert_eq!(simulation.handle.stats().delivered, 698);
}

#[test]
fn retry_after_may_be_a_date_by_the_servers_own_clock() {
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    let mut answer = with_header(429, "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
    answer
        .headers_mut()
        .insert("date", http::HeaderValue::from_static("Sun, 06 Nov 1994 08:49:07 GMT"));
    let mut answer = Some(answer);
    simulation.run_until(100 * SECOND, |_| Ok(answer.take().unwrap_or_else(|| status(200))));
    let second = times(&simulation)[1];
    assert!(second >= 30 * SECOND && second < 33 * SECOND, "{second:?}");
}

#[test]
fn retry_after_is_clamped() {
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    let mut answer = Some(with_header(429, "retry-after", "99999999999"));
    simulation.run_until(YEAR, |_| Ok(answer.take().unwrap_or_else(|| status(200))));
    let second = times(&simulation)[1];
    assert!(second >= 3600 * SECOND && second < 3960 * SECOND, "{second:?}");
}

#[test]
fn a_retry_after_with_the_last_retry_is_kept_too() {
    let config = config("https://example.com").max_retries(0).build().unwrap();
    for (asked, waits) in [("600", 600..660), ("1", 300..301)] {
        let mut simulation = Simulation::new(&config);
        track(&simulation.handle, 100);
        simulation.run_until(660 * SECOND, |sent| {
            Ok(if sent.at.is_zero() { with_header(429, "retry-after", asked) } else { status(200) })
        });
        let times = times(&simulation);
        assert_eq!((times.len(), times[0]), (2, Duration::ZERO));
        assert!(waits.contains(&times[1].as_secs()), "{times:?}");
    }
}

#[test]
fn full_batches_do_not_hammer_a_server_that_refuses() {
    for refusal in [403, 503] {
        let mut simulation = simulation();
        for second in 0..60 {
            track(&simulation.handle, 100);
            simulation.run_until(second * SECOND, |_| Ok(status(refusal)));
        }
        assert!(simulation.sent.len() <= 4, "{}", simulation.sent.len());
    }
}

#[test]
fn a_flush_does_not_wait_and_may_follow_a_cycle_that_gave_up() {
    let mut simulation = simulation();
    track(&simulation.handle, 1);
    let flush = |simulation: &mut Simulation| {
        let now = simulation.instant();
        simulation.submitter.flush(now);
        simulation.run_until(simulation.now(), |_| Ok(status(403)));
    };
    flush(&mut simulation);
    assert_eq!(times(&simulation), [Duration::ZERO]);
    simulation.advance(SECOND);
    flush(&mut simulation);
    assert_eq!(times(&simulation), [Duration::ZERO, SECOND]);
}

#[test]
fn a_flush_may_follow_a_pause_that_the_server_wanted_and_got() {
    let config = config("https://example.com").max_retries(0).build().unwrap();
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 100);
    simulation.run_until(SECOND / 2, |_| Ok(with_header(429, "retry-after", "1")));
    let milliseconds = Duration::from_millis;
    for (at, requests) in [(milliseconds(999), 1), (milliseconds(1_500), 2)] {
        simulation.run_until(at, accept);
        let now = simulation.instant();
        simulation.submitter.flush(now);
        simulation.run_until(at, accept);
        assert_eq!(simulation.sent.len(), requests, "{at:?}");
    }
}

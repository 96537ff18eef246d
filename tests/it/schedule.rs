//! Every rule of the submitter, in virtual time.

use std::time::Duration;

use mosaicstack_telemetry::{Health, Response, TelemetryConfig, TransportError, Verdict};
use telemetry_tests::{Log, Next, Sent, Simulation, config, status, track};
use uuid::Uuid;

const INTERVAL: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

type Answered = Result<Response, TransportError>;

fn simulation() -> Simulation {
    Simulation::new(&config("https://example.com").build().expect("a configuration"))
}

fn accept(_: &Sent) -> Answered {
    Ok(status(200))
}

fn busy(_: &Sent) -> Answered {
    Ok(status(503))
}

fn with_header(code: u16, name: &'static str, value: &'static str) -> Response {
    let mut response = status(code);
    response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    response
}

fn times(simulation: &Simulation) -> Vec<Duration> {
    simulation.sent.iter().map(|sent| sent.at).collect()
}

fn sizes(simulation: &Simulation) -> Vec<usize> {
    simulation.sent.iter().map(|sent| sent.ids.len()).collect()
}

fn ids(simulation: &Simulation) -> Vec<Uuid> {
    simulation.sent.iter().flat_map(|sent| sent.ids.clone()).collect()
}

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
    assert!(times[1] < 121 * SECOND, "and not much later: {:?}", times[1]);
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
    simulation.run_until(601 * SECOND, accept);
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
    assert!(second >= 30 * SECOND && second < 31 * SECOND, "{second:?}");
}

#[test]
fn retry_after_is_clamped() {
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    let mut answer = Some(with_header(429, "retry-after", "99999999999"));
    simulation.run_until(YEAR, |_| Ok(answer.take().unwrap_or_else(|| status(200))));
    let second = times(&simulation)[1];
    assert!(second >= 3600 * SECOND && second < 3601 * SECOND, "{second:?}");
}

#[test]
fn a_retry_after_with_the_last_retry_is_kept_too() {
    let config = config("https://example.com").max_retries(0).build().unwrap();
    for (asked, waits) in [("600", 600 * SECOND), ("1", INTERVAL)] {
        let mut simulation = Simulation::new(&config);
        track(&simulation.handle, 100);
        simulation.run_until(2 * INTERVAL + SECOND, |sent| {
            Ok(if sent.at.is_zero() { with_header(429, "retry-after", asked) } else { status(200) })
        });
        assert_eq!(times(&simulation), [Duration::ZERO, waits]);
    }
}

#[test]
fn a_refused_configuration_is_said_once_and_tried_once_a_cycle() {
    for refusal in [401, 403, 404, 405, 410, 307] {
        let log = Log::new();
        let mut simulation = simulation();
        track(&simulation.handle, 5);
        simulation.run_until(3 * INTERVAL, |_| Ok(status(refusal)));
        assert_eq!(times(&simulation), [INTERVAL, 2 * INTERVAL, 3 * INTERVAL]);
        let stats = simulation.handle.stats();
        assert_eq!((stats.pending, stats.health), (5, Health::Refused));
        assert_eq!(log.lines("check the URL").len(), 1, "once per spell");
        simulation.run_until(4 * INTERVAL, accept);
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.health), (5, Health::Good));
        assert_eq!(log.lines("takes events again").len(), 1);
        track(&simulation.handle, 5);
        simulation.run_until(5 * INTERVAL, |_| Ok(status(refusal)));
        assert_eq!(log.lines("check the URL").len(), 2, "a new spell");
    }
}

#[test]
fn a_transport_that_cannot_work_is_a_configuration_too() {
    let mut simulation = simulation();
    track(&simulation.handle, 1);
    simulation.run_until(2 * INTERVAL, |_| Err(TransportError::other("certificate")));
    assert_eq!(times(&simulation), [INTERVAL, 2 * INTERVAL]);
    assert_eq!(simulation.handle.stats().health, Health::Refused);
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
fn a_bad_event_is_found_and_costs_nobody_else() {
    for refusal in [400, 413, 422] {
        let log = Log::new();
        let mut simulation = simulation();
        let tracked = track(&simulation.handle, 100);
        let culprit = tracked[37];
        let mut taken = Vec::new();
        simulation.run_until(SECOND, |sent| {
            if sent.ids.contains(&culprit) {
                return Ok(status(refusal));
            }
            taken.extend(sent.ids.clone());
            Ok(status(200))
        });
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.rejected, stats.pending), (99, 1, 0));
        assert!(stats.is_balanced());
        let others: Vec<Uuid> = tracked.iter().copied().filter(|id| *id != culprit).collect();
        assert_eq!(taken, others, "in their order");
        assert!(simulation.sent.len() <= 23, "{}", simulation.sent.len());
        let dropped = log.lines("is dropped");
        assert_eq!(dropped.len(), 1);
        assert!(dropped[0].contains(&culprit.to_string()), "{dropped:?}");
    }
}

#[test]
fn what_a_receipt_rejects_is_counted_told_and_not_sent_again() {
    let log = Log::new();
    let mut simulation = simulation();
    let tracked = track(&simulation.handle, 10);
    let receipt = format!(
        r#"{{"accepted":8,"rejected":2,"results":[
            {{"event_id":"{0}","status":"rejected","error":"no such\nmodel"}},
            {{"event_id":"{0}","status":"rejected","error":"said twice"}},
            {{"event_id":"{1}","status":"accepted","error":null}},
            {{"event_id":"{2}","status":"rejected"}},
            {{"event_id":"{3}","status":"rejected","error":"not of this batch"}}]}}"#,
        tracked[3],
        tracked[4],
        tracked[5],
        Uuid::nil(),
    );
    simulation.run_until(2 * INTERVAL, |_| Ok(http::Response::new(receipt.clone().into_bytes())));
    assert_eq!(simulation.sent.len(), 1);
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.rejected, stats.pending), (8, 2, 0));
    assert!(log.lines("rejected event")[0].contains("no such model"), "on one line");
}

#[test]
fn receipts_are_not_believed_beyond_the_batch() {
    for (receipt, rejected) in [
        (r#"{"rejected":3}"#, 3),
        (r#"{"rejected":18446744073709551615}"#, 10),
        (r#"{"results":[{"status":"rejected"},{"status":"rejected"}]}"#, 2),
        (r#"{"accepted":0}"#, 0),
        ("<html>", 0),
        ("", 0),
    ] {
        let mut simulation = simulation();
        track(&simulation.handle, 10);
        simulation.run_until(INTERVAL, |_| Ok(http::Response::new(receipt.as_bytes().to_vec())));
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.rejected), (10 - rejected, rejected), "{receipt}");
        assert!(stats.is_balanced());
    }
}

fn small_queue() -> Simulation {
    let config = config("https://example.com").max_queue_size(10).build();
    Simulation::new(&config.expect("a configuration"))
}

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
    assert_eq!(simulation.handle.stats().delivered, 100);
}

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

#[test]
fn requests_have_the_configured_time_out() {
    let mut simulation = simulation();
    track(&simulation.handle, 1);
    simulation.run_until(INTERVAL, accept);
    assert_eq!(simulation.sent[0].timeout, 10 * SECOND);
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

#[test]
fn verdicts_are_returned() {
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    let mut verdict = |answer: Answered| {
        simulation.advance(INTERVAL * 20);
        let Next::Sent(delivery) = simulation.step() else { panic!("there are events") };
        simulation.complete(delivery, answer)
    };
    assert_eq!(verdict(Ok(status(403))), Verdict::Configuration);
    assert_eq!(verdict(Ok(status(500))), Verdict::Transient { retry_after: None });
    assert_eq!(
        verdict(Ok(with_header(500, "retry-after", "2"))),
        Verdict::Transient { retry_after: Some(2 * SECOND) }
    );
    assert_eq!(verdict(Ok(status(400))), Verdict::BatchAtFault);
    assert_eq!(verdict(Ok(status(204))), Verdict::Accepted);
}

#[test]
fn the_log_has_one_target_and_no_key() {
    let log = Log::new();
    let mut simulation = small_queue();
    let mut answers = [200, 503, 400, 403, 429].into_iter().cycle();
    for _ in 0..50 {
        track(&simulation.handle, 11);
        simulation
            .run_until(simulation.now() + INTERVAL, |_| Ok(status(answers.next().unwrap_or(200))));
    }
    assert!(log.lines("").len() > 50);
    assert_eq!(log.lines("").len(), log.lines(" mosaicstack_telemetry: ").len());
    assert!(log.lines(telemetry_tests::KEY).is_empty());
}

//! Outcomes of requests other than a retry, and their log.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

#[test]
fn outcome_determines_requests_counters_and_health() {
    type Case = (fn() -> Reply, &'static [usize], (u64, u64, u64), Health);
    const RETRIED: &[usize] = &[4; 4];
    // Halves of the batch, then three events alone.
    const BISECTED: &[usize] = &[4, 2, 1, 1, 1];
    let cases: [Case; 13] = [
        (|| Ok(status(200)), &[4], (4, 0, 0), Health::Good),
        (|| Ok(status(299)), &[4], (4, 0, 0), Health::Good),
        (|| Ok(status(400)), BISECTED, (0, 0, 4), Health::Misconfigured),
        (|| Ok(status(413)), BISECTED, (0, 0, 4), Health::Misconfigured),
        (|| Ok(status(422)), BISECTED, (0, 0, 4), Health::Misconfigured),
        (|| Ok(status(408)), RETRIED, (0, 0, 4), Health::Retrying),
        (|| Ok(status(429)), RETRIED, (0, 0, 4), Health::Retrying),
        (|| Ok(status(599)), RETRIED, (0, 0, 4), Health::Retrying),
        (|| Err(TransportError::Timeout), RETRIED, (0, 0, 4), Health::Retrying),
        (|| Err(TransportError::network("reset")), RETRIED, (0, 0, 4), Health::Retrying),
        (|| Err(TransportError::other("certificate")), &[4], (0, 0, 4), Health::Misconfigured),
        (|| Ok(status(307)), &[4], (0, 0, 4), Health::Misconfigured),
        (|| Ok(status(999)), &[4], (0, 0, 4), Health::Misconfigured),
    ];
    for (reply, expected, counters, health) in cases {
        let mut simulation = simulation();
        track(&simulation.handle, 4);
        simulation.run_until(INTERVAL + 60 * SECOND, |_| reply());
        let stats = simulation.handle.stats();
        assert!(stats.is_balanced());
        assert_eq!(sizes(&simulation), expected, "{:?}", reply());
        let actual = (stats.delivered, stats.rejected, stats.pending);
        assert_eq!((actual, stats.health), (counters, health), "{:?}", reply());
    }
}

#[test]
fn misconfiguration_is_logged_once_and_retried_each_interval() {
    for code in [401, 403, 404, 405, 410, 307] {
        let log = Log::new();
        let mut simulation = simulation();
        track(&simulation.handle, 5);
        simulation.run_until(3 * INTERVAL, |_| Ok(status(code)));
        assert_eq!(times(&simulation), [INTERVAL, 2 * INTERVAL, 3 * INTERVAL]);
        let stats = simulation.handle.stats();
        assert_eq!((stats.pending, stats.health), (5, Health::Misconfigured));
        assert_eq!(log.lines("check the server URL").len(), 1);
        simulation.run_until(4 * INTERVAL, accept);
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.health), (5, Health::Good));
        assert_eq!(log.lines("accepts events again").len(), 1);
        track(&simulation.handle, 5);
        simulation.run_until(5 * INTERVAL, |_| Ok(status(code)));
        assert_eq!(log.lines("check the server URL").len(), 2, "a new failure");
    }
}

#[test]
fn bad_event_is_found_and_the_others_are_delivered() {
    let log = Log::new();
    let mut simulation = simulation();
    let mut tracked = track(&simulation.handle, 100);
    let bad = tracked.remove(37);
    let mut taken = Vec::new();
    simulation.run_until(SECOND, |sent| {
        if sent.ids.contains(&bad) {
            return Ok(status(400));
        }
        taken.extend(sent.ids.clone());
        Ok(status(200))
    });
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.rejected, stats.pending), (99, 1, 0));
    assert!(stats.is_balanced());
    assert_eq!(taken, tracked, "in order");
    assert!(simulation.sent.len() <= 23, "{}", simulation.sent.len());
    let dropped = log.lines("the server rejected event");
    assert_eq!(dropped.len(), 1);
    assert!(dropped[0].contains(&bad.to_string()), "{dropped:?}");
}

#[test]
fn receipt_rejects_events_of_the_batch_only_and_each_once() {
    const IN_BATCH: &str = "00000000-0000-0000-0000-000000000003";
    let repeated = format!(
        r#"{{"rejected":2,"results":[
            {{"event_id":"{IN_BATCH}","status":"rejected","error":"no such\nmodel"}},
            {{"event_id":"{IN_BATCH}","status":"rejected","error":"again"}},
            {{"event_id":"00000000-0000-0000-0000-000000000004","status":"accepted","error":null}},
            {{"event_id":"00000000-0000-0000-0000-000000000005","status":"rejected"}},
            {{"event_id":"00000000-0000-0000-0000-000000000011","status":"rejected"}}]}}"#
    );
    for (receipt, rejected, warning) in [
        (&*repeated, 2, "no such model"),
        (r#"{"rejected":3}"#, 3, ""),
        (r#"{"accepted":0,"rejected":9,"results":[{"status":"accepted"}]}"#, 9, ""),
        (r#"{"results":[{"status":"rejected"},{"status":"rejected"}]}"#, 2, ""),
        ("", 0, ""),
    ] {
        let log = Log::new();
        let mut simulation = simulation();
        for id in 1..=10 {
            let event = simulation.handle.event().event_id(Uuid::from_u128(id));
            simulation.handle.track(event.build());
        }
        simulation.run_until(2 * INTERVAL, |_| Ok(http::Response::new(receipt.into())));
        assert_eq!(simulation.sent.len(), 1);
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.rejected), (10 - rejected, rejected), "{receipt}");
        assert!(stats.is_balanced());
        let warnings = log.lines("WARN");
        let expected = if rejected > 5 { 6 } else { usize::try_from(rejected).unwrap() };
        assert_eq!(warnings.len(), expected, "five one by one, and the sum: {warnings:?}");
        assert!(warnings.first().is_none_or(|it| it.contains(warning)), "one line: {warnings:?}");
    }
}

#[test]
fn log_has_one_target() {
    let log = Log::new();
    let mut simulation = small_queue();
    let receipt = r#"{"results":[{"status":"rejected","error":"no"}]}"#;
    let mut replies = (0..7).cycle();
    for _ in 0..70 {
        track(&simulation.handle, 11);
        simulation.run_until(simulation.now() + INTERVAL, |_| match replies.next() {
            Some(0) => Ok(http::Response::new(receipt.into())),
            Some(1) => Err(TransportError::other("no")),
            reply => Ok(status([200, 503, 400, 403, 429][reply.unwrap_or(2) - 2])),
        });
    }
    assert!(log.lines("").len() > 50);
    assert_eq!(log.lines("").len(), log.lines(" mosaicstack_telemetry: ").len());
}

#[test]
fn panic_of_the_log_subscriber_loses_neither_outcome_nor_pause() {
    for (response, delivered, next) in [
        (with_retry_after(429, "3600"), 0, 3600 * SECOND),
        (status(503), 0, SECOND / 4),
        (status(403), 0, INTERVAL),
        (status(200), 100, INTERVAL),
    ] {
        let mut simulation = simulation();
        track(&simulation.handle, 100);
        let delivery = simulation.send();
        let log = Log::new();
        log.panic_at(Some(1));
        let complete = || simulation.complete(delivery, Ok(response.clone()));
        assert!(catch_unwind(AssertUnwindSafe(complete)).is_err());
        let stats = simulation.handle.stats();
        assert!(stats.is_balanced());
        assert_eq!(stats.delivered, delivered);
        let Next::Waits(until) = simulation.step() else { panic!("sent again: {response:?}") };
        assert!(until >= next, "{until:?}");
    }
}

//! What other answers mean for the events.

use super::*;

#[test]
fn a_refused_configuration_is_said_once_and_tried_once_a_cycle() {
    for refusal in [401, 403, 404, 405, 410, 307] {
        let log = Log::new();
        let mut simulation = simulation();
        track(&simulation.handle, 5);
        simulation.run_until(3 * INTERVAL, |_| Ok(status(refusal)));
        assert_eq!(times(&simulation), [INTERVAL, 2 * INTERVAL, 3 * INTERVAL]);
        let stats = simulation.handle.stats();
        assert_eq!((stats.pending, stats.health), (5, Health::Misconfigured));
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
fn full_batches_do_not_ask_a_server_that_refuses() {
    let mut simulation = simulation();
    track(&simulation.handle, 5);
    simulation.run_until(INTERVAL, |_| Ok(status(403)));
    assert_eq!(times(&simulation), [INTERVAL]);
    track(&simulation.handle, 500);
    let Next::Waits(until) = simulation.step() else { panic!("it asks at once") };
    assert_eq!(until, 2 * INTERVAL);
}

#[test]
fn a_transport_that_cannot_work_is_a_configuration_too() {
    let mut simulation = simulation();
    track(&simulation.handle, 1);
    simulation.run_until(2 * INTERVAL, |_| Err(TransportError::other("certificate")));
    assert_eq!(times(&simulation), [INTERVAL, 2 * INTERVAL]);
    assert_eq!(simulation.handle.stats().health, Health::Misconfigured);
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

#[test]
fn verdicts_are_returned() {
    let mut simulation = simulation();
    track(&simulation.handle, 100);
    let mut verdict = |answer: Answered| {
        simulation.advance(INTERVAL * 20);
        let Next::Sent(delivery) = simulation.step() else { panic!("there are events") };
        simulation.complete(delivery, answer)
    };
    assert_eq!(verdict(Ok(status(403))), DeliveryOutcome::Misconfigured);
    assert_eq!(verdict(Ok(status(500))), DeliveryOutcome::Retry { retry_after: None });
    assert_eq!(
        verdict(Ok(with_header(500, "retry-after", "2"))),
        DeliveryOutcome::Retry { retry_after: Some(2 * SECOND) }
    );
    assert_eq!(verdict(Ok(status(400))), DeliveryOutcome::BatchRejected);
    assert_eq!(verdict(Ok(status(204))), DeliveryOutcome::Accepted);
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

#[test]
fn a_server_that_refuses_every_event_is_asked_once_a_cycle() {
    let mut simulation = simulation();
    let handle = simulation.handle.clone();
    track(&handle, 1);
    simulation.run_until(3 * INTERVAL, |_| {
        track(&handle, 1);
        Ok(status(400))
    });
    assert_eq!(times(&simulation), [INTERVAL, 2 * INTERVAL, 3 * INTERVAL]);
    let stats = handle.stats();
    assert_eq!((stats.rejected, stats.pending, stats.health), (3, 1, Health::Good));
}

#[test]
fn a_log_that_panics_costs_nothing_but_itself() {
    for (answer, delivered, next) in [
        (with_header(429, "retry-after", "3600"), 0, 3600 * SECOND),
        (status(503), 0, SECOND / 4),
        (status(403), 0, INTERVAL),
        (status(200), 100, INTERVAL),
    ] {
        let mut simulation = simulation();
        track(&simulation.handle, 100);
        let Next::Sent(delivery) = simulation.step() else { panic!("a batch is full") };
        {
            let _log = Log::that_panics();
            let told = catch_unwind(AssertUnwindSafe(|| {
                simulation.complete(delivery, Ok(answer.clone()));
            }));
            assert!(told.is_err());
        }
        let stats = simulation.handle.stats();
        assert!(stats.is_balanced());
        assert_eq!(stats.delivered, delivered);
        let Next::Waits(until) = simulation.step() else { panic!("sent again: {answer:?}") };
        assert!(until >= next, "{until:?}");
    }
}

#[test]
fn a_dry_run_survives_a_log_that_panics() {
    let config = config("https://example.com").dry_run(true).max_queue_size(2).build().unwrap();
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 3);
    {
        let _log = Log::that_panics();
        for _ in 0..3 {
            let _ = catch_unwind(AssertUnwindSafe(|| simulation.step()));
            track(&simulation.handle, 1);
        }
    }
    assert!(simulation.handle.stats().is_balanced());
    simulation.run_until(INTERVAL, accept);
    let stats = simulation.handle.stats();
    assert!(stats.is_balanced());
    assert_eq!(stats.pending, 0);
}

#[test]
fn a_server_that_echoes_the_key_does_not_get_it_into_the_log() {
    let log = Log::new();
    let mut simulation = simulation();
    let key = telemetry_tests::KEY;
    track(&simulation.handle, 1);
    let receipt = format!(r#"{{"results":[{{"status":"rejected","error":"Bearer {key}"}}]}}"#);
    simulation.run_until(INTERVAL, |_| Ok(http::Response::new(receipt.clone().into_bytes())));
    track(&simulation.handle, 1);
    simulation.run_until(2 * INTERVAL, |_| Err(TransportError::other(format!("token {key}"))));
    assert_eq!(log.lines("Bearer …").len(), 1);
    assert_eq!(log.lines("token …").len(), 1);
    assert!(log.lines(key).is_empty());
}

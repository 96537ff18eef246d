//! Events that the server refuses, and servers that refuse everything.

use std::collections::HashSet;

use mosaicstack_telemetry::{FailureCause, Notification};

use super::*;
use crate::notifications::Received;

/// As FastAPI answers to a missing header.
const DETAIL: &str = r#"{"detail":[{"type":"missing","loc":["header","x-api-key"],
    "msg":"Field required","input":null}]}"#;

fn response(code: u16, body: impl Into<Vec<u8>>) -> Response {
    status(code).map(|_| body.into())
}

/// A simulation that records its notifications.
fn recorded(batch_size: usize) -> (Simulation, Received) {
    let received = Received::default();
    let config = received.record(config("https://example.com")).batch_size(batch_size).build();
    (Simulation::new(&config.expect("a valid configuration")), received)
}

/// The number of notifications of this kind.
fn count(notifications: &[Notification], is_kind: fn(&Notification) -> bool) -> usize {
    notifications.iter().filter(|it| is_kind(it)).count()
}

/// Refuses a batch that contains a bad event.
fn refuse(sent: &Sent, bad: &[Uuid]) -> Reply {
    Ok(if sent.ids.iter().any(|id| bad.contains(id)) {
        response(422, r#"{"detail":"no such model"}"#)
    } else {
        status(200)
    })
}

#[test]
fn server_that_refuses_everything_is_misconfigured_and_loses_no_event() {
    fn each_rejected(sent: &Sent) -> Response {
        let result = |id: &Uuid| serde_json::json!({"event_id": id, "status": "rejected", "error": "no such instance"});
        let results: Vec<_> = sent.ids.iter().map(result).collect();
        let rejected = results.len();
        let body = serde_json::json!({"accepted": 0, "rejected": rejected, "results": results});
        response(200, body.to_string())
    }
    type Case = (fn(&Sent) -> Response, usize, &'static str);
    let cases: [Case; 8] = [
        // 100, 50, 25, 13, 7, 4, 2 and three single events.
        (
            |_| response(422, DETAIL),
            10,
            "422 Unprocessable Entity: header.x-api-key: Field required",
        ),
        (|_| status(400), 10, "400 Bad Request: check"),
        (|_| response(413, "<html>413"), 10, "413 Payload Too Large: <html>413"),
        (|_| response(400, "<html>no certificate"), 1, "400 Bad Request: <html>no certificate"),
        (|_| response(200, "<!doctype html>"), 1, "200 OK: expected JSON, found <!doctype html>"),
        (|_| response(200, "OK"), 1, "200 OK: expected JSON, found OK"),
        (|_| response(200, r#"{"accepted":0}"#), 10, r#"200 OK: {"accepted":0}"#),
        (each_rejected, 10, "200 OK: no such instance"),
    ];
    for (reply, requests, reason) in cases {
        let log = Log::new();
        let (mut simulation, received) = recorded(100);
        let tracked = track(&simulation.handle, 1000);
        simulation.run_until(INTERVAL - SECOND, |sent| Ok(reply(sent)));
        let stats = simulation.handle.stats();
        assert_eq!((stats.requests, stats.pending), (requests as u64, 1000), "{reason}");
        assert_eq!((stats.rejected, stats.health), (0, Health::Misconfigured), "{reason}");
        let notifications = received.take();
        let [Notification::Misconfigured { cause: FailureCause::Status { .. }, .. }] =
            notifications[..]
        else {
            panic!("{notifications:?}")
        };
        simulation.run_until(3 * INTERVAL, |sent| Ok(reply(sent)));
        assert_eq!(simulation.sent.len(), requests + 3, "one request an interval: {reason}");
        let lines = log.lines("WARN");
        assert!(lines.len() == 1 && lines[0].contains(reason), "{reason}: {lines:?}");

        // The server is put right.
        let mut accepted = Vec::new();
        simulation.run_until(4 * INTERVAL, |sent| {
            accepted.extend(sent.ids.clone());
            Ok(status(200))
        });
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.health), (1000, Health::Good), "{reason}");
        assert_eq!(accepted.len(), 1000, "each once: {reason}");
        assert_eq!(HashSet::<Uuid>::from_iter(accepted), HashSet::from_iter(tracked));
        assert!(simulation.sent.len() <= requests + 25, "{}", simulation.sent.len());
        assert_eq!(log.lines("accepts events again").len(), 1);
    }
}

#[test]
fn bad_event_costs_only_itself_at_any_position() {
    for has_history in [false, true] {
        for positions in [&[0][..], &[1], &[50], &[0, 1], &[0, 3], &[7, 8, 9], &[97, 98]] {
            let (mut simulation, received) = recorded(100);
            if has_history {
                track(&simulation.handle, 1);
                simulation.run_until(INTERVAL, accept);
            }
            let mut tracked = track(&simulation.handle, 100);
            let bad: Vec<Uuid> = positions.iter().map(|&at| tracked[at]).collect();
            let mut accepted = Vec::new();
            simulation.run_until(simulation.now() + SECOND, |sent| {
                let reply = refuse(sent, &bad);
                if reply.as_ref().is_ok_and(|it| it.status().is_success()) {
                    accepted.extend(sent.ids.clone());
                }
                reply
            });
            tracked.retain(|id| !bad.contains(id));
            // Of two bad events in a row, the second was followed by the newest event.
            if positions.is_sorted_by(|a, b| a + 1 < *b) {
                assert_eq!(accepted, tracked, "in order: {positions:?}");
            }
            accepted.sort_unstable();
            tracked.sort_unstable();
            assert_eq!(accepted, tracked, "each once: {positions:?}");
            let stats = simulation.handle.stats();
            assert_eq!((stats.rejected, stats.pending), (bad.len() as u64, 0), "{positions:?}");
            assert_eq!(stats.health, Health::Good);
            let rejected = received.take().into_iter().filter_map(|it| match it {
                Notification::Rejected { event_id, reason } => Some((event_id.unwrap(), reason)),
                Notification::Delivered { .. } => None,
                other => panic!("{other:?}"),
            });
            let reason = "the server answered 422 Unprocessable Entity: no such model".to_owned();
            let expected = bad.into_iter().map(|id| (id, reason.clone()));
            assert!(rejected.eq(expected), "{positions:?}");
        }
    }
}

#[test]
fn bad_event_without_others_waits_for_the_next_event() {
    for batch_size in [1, 100] {
        let (mut simulation, received) = recorded(batch_size);
        track(&simulation.handle, 1);
        simulation.run_until(INTERVAL, accept);
        let bad = track(&simulation.handle, 1);
        for interval in 2..7 {
            simulation.run_until(interval * INTERVAL, |sent| refuse(sent, &bad));
            let stats = simulation.handle.stats();
            assert_eq!((stats.pending, stats.rejected, stats.health), (1, 0, Health::Retrying));
            let deferred =
                count(&received.take(), |it| matches!(it, Notification::Deferred { .. }));
            // A full batch is sent at once, but only once.
            let at_once = usize::from(batch_size == 1 && interval == 2);
            assert_eq!(deferred, 1 + at_once);
        }
        track(&simulation.handle, 1);
        simulation.run_until(7 * INTERVAL, |sent| refuse(sent, &bad));
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.rejected, stats.health), (2, 1, Health::Good));
        assert_eq!(count(&received.take(), |it| matches!(it, Notification::Rejected { .. })), 1);
    }
}

#[test]
fn event_accepted_out_of_turn_is_delivered_before_the_next_request() {
    let mut simulation = simulation();
    track(&simulation.handle, 2);
    simulation.flush();
    // Both, the bad one, the good one behind it, and the bad one again.
    for code in [422, 422, 200, 422] {
        let delivery = simulation.send();
        simulation.complete(delivery, Ok(status(code)));
        track(&simulation.handle, 1);
    }
    assert!(matches!(simulation.step(), Next::Waits(_)));
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.rejected, stats.pending), (1, 1, 4));
}

#[test]
fn only_event_is_misconfigured_if_the_server_has_accepted_none() {
    let mut simulation = simulation();
    track(&simulation.handle, 1);
    simulation.run_until(2 * INTERVAL, |_| Ok(response(422, DETAIL)));
    let stats = simulation.handle.stats();
    assert_eq!((stats.pending, stats.health), (1, Health::Misconfigured));
    assert_eq!(times(&simulation), [INTERVAL, 2 * INTERVAL]);
}

#[test]
fn good_events_behind_many_bad_ones_are_delivered_in_one_cycle() {
    for bad in [6, 200] {
        let mut simulation = simulation();
        track(&simulation.handle, 1);
        simulation.run_until(INTERVAL, accept);
        let tracked = track(&simulation.handle, bad + 300);
        let bad = &tracked[..bad];
        simulation.run_until(2 * INTERVAL - SECOND, |sent| refuse(sent, bad));
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.rejected), (301, bad.len() as u64));
        assert!(stats.requests < 20 + 3 * bad.len() as u64, "{stats}");
    }
}

#[test]
fn good_event_behind_bad_ones_is_found_if_the_server_has_accepted_none() {
    for reply in [response(422, DETAIL), response(400, "Bad Request")] {
        let mut simulation = simulation();
        let tracked = track(&simulation.handle, 20);
        let bad = [&tracked[..6], &tracked[18..]].concat();
        simulation.run_until(10 * INTERVAL, |sent| {
            let is_bad = sent.ids.iter().any(|id| bad.contains(id));
            Ok(if is_bad { reply.clone() } else { status(200) })
        });
        let stats = simulation.handle.stats();
        // The newest ones wait for an event behind them.
        assert_eq!((stats.delivered, stats.rejected, stats.pending), (12, 6, 2), "{reply:?}");
    }
}

/// A server that accepts a request now and then is not one that accepts others.
#[test]
fn server_that_refuses_nearly_everything_costs_few_events() {
    for period in [10, 60] {
        let mut simulation = simulation();
        track(&simulation.handle, 1000);
        let (mut requests, mut accepted) = (0, 0);
        simulation.run_until(100 * INTERVAL, |_| {
            requests += 1;
            Ok(if requests % period == 0 {
                accepted += 1;
                status(200)
            } else {
                response(422, DETAIL)
            })
        });
        let stats = simulation.handle.stats();
        assert!(accepted > 0 && stats.rejected <= 3 * accepted, "{accepted}: {stats}");
    }
}

#[test]
fn evicted_probe_is_neither_sent_again_nor_waited_for() {
    let mut simulation = small_queue();
    let tracked = track(&simulation.handle, 10);
    let bad = &tracked[..1];
    // Refused down to the bad event; the next one is accepted.
    simulation.flush();
    while simulation.sent.last().is_none_or(|sent| sent.ids != tracked[1..2]) {
        let delivery = simulation.send();
        let sent = simulation.sent.last().expect("a request").clone();
        simulation.complete(delivery, refuse(&sent, bad));
    }
    track(&simulation.handle, 2);
    let before = simulation.sent.len();
    simulation.run_until(INTERVAL, accept);
    let stats = simulation.handle.stats();
    assert_eq!((stats.evicted, stats.delivered, stats.pending), (2, 10, 0));
    let again = simulation.sent[before..].iter().any(|sent| sent.ids.contains(&tracked[1]));
    assert!(!again);
}

#[test]
fn server_that_begins_to_refuse_everything_costs_at_most_three_events() {
    // Behind two bad events, the newest one is tried.
    for bad in 1..=2 {
        for flips_at in 0..20 {
            let mut simulation = simulation();
            track(&simulation.handle, 100);
            let bad = track(&simulation.handle, bad);
            track(&simulation.handle, 890);
            let mut requests = 0;
            simulation.run_until(INTERVAL - SECOND, |sent| {
                requests += 1;
                if requests > flips_at { Ok(response(422, DETAIL)) } else { refuse(sent, &bad) }
            });
            let stats = simulation.handle.stats();
            let most = if bad.len() == 1 { 1 } else { 3 };
            assert!(stats.rejected <= most, "{flips_at}: {stats}");
            assert_eq!(stats.health, Health::Misconfigured, "{flips_at}");
            assert!(requests <= flips_at + 10, "{flips_at}: {requests}");
        }
    }
}

#[test]
fn two_bad_events_are_no_misconfiguration_and_good_ones_need_not_wait() {
    let (mut simulation, received) = recorded(100);
    track(&simulation.handle, 1);
    simulation.run_until(INTERVAL, accept);
    let bad = track(&simulation.handle, 2);
    for interval in 2..5 {
        simulation.run_until(interval * INTERVAL, |sent| refuse(sent, &bad));
    }
    // A full batch does not wait for the interval.
    track(&simulation.handle, 100);
    simulation.run_until(4 * INTERVAL + SECOND, |sent| refuse(sent, &bad));
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.rejected, stats.health), (101, 2, Health::Good));
    assert_eq!(count(&received.take(), |it| matches!(it, Notification::Misconfigured { .. })), 0);
}

#[test]
fn events_tracked_while_one_is_refused_are_not_sent_to_a_misconfigured_server() {
    let mut simulation = simulation();
    track(&simulation.handle, 1);
    simulation.run_until(INTERVAL, |_| Ok(response(422, DETAIL)));
    track(&simulation.handle, 500);
    simulation.run_until(5 * INTERVAL, |_| Ok(response(422, DETAIL)));
    let batches: Vec<usize> = simulation.sent.iter().map(|sent| sent.ids.len()).collect();
    assert_eq!(batches, [1; 5]);
}

#[test]
fn good_events_are_found_though_new_bad_ones_are_tracked() {
    let mut simulation = simulation();
    let mut bad = track(&simulation.handle, 2);
    track(&simulation.handle, 50);
    bad.extend(track(&simulation.handle, 2));
    for interval in 1..10 {
        simulation.run_until(interval * INTERVAL, |sent| refuse(sent, &bad));
        bad.extend(track(&simulation.handle, 1));
    }
    assert_eq!(simulation.handle.stats().delivered, 50);
}

#[test]
fn success_without_a_readable_receipt_is_accepted_with_one_warning() {
    for (body, warnings) in [
        ("", 0),
        ("\u{feff}{\"accepted\":\"4\"}", 0),
        ("{\"data\":{\"accepted\":4}}", 0),
        ("{\"message\":\"queued\"}", 1),
        // Broken off.
        ("{\"accepted\":4,\"results\":[{\"event_id\":", 1),
    ] {
        let log = Log::new();
        let mut simulation = simulation();
        for cycle in 1..=3 {
            track(&simulation.handle, 4);
            simulation.run_until(cycle * INTERVAL, |_| Ok(response(200, body)));
        }
        let stats = simulation.handle.stats();
        assert_eq!((stats.delivered, stats.requests), (12, 3), "{body}");
        assert_eq!(stats.health, Health::Good);
        assert_eq!(log.lines("WARN").len(), warnings, "{body}");
        assert_eq!(log.lines("receipt is not understood").len(), warnings, "{body}");
    }
}

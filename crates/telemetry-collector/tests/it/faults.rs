//! Which requests and connections meet with a fault.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use telemetry_collector::{Collector, EVENTS_PATH, FaultRule, PREDICTIONS_PATH, ResponseTemplate};

use crate::client::{Client, TOO_LONG, event, ids, report};

/// The statuses of so many requests for `line`, one after another on one connection.
fn statuses(collector: &Collector, line: &str, count: usize) -> Vec<u16> {
    let mut client = Client::new(collector);
    (0..count).map(|_| client.ask(line, &[], b"").status).collect()
}

#[test]
fn a_fault_holds_until_it_is_cleared() {
    let collector = Collector::start().unwrap();
    collector.fault(ResponseTemplate::status(503));
    assert_eq!(statuses(&collector, "GET /", 5), [503; 5]);
    collector.script([ResponseTemplate::status(500)]);
    collector.clear_faults();
    assert_eq!(statuses(&collector, "GET /", 2), [200, 200]);
    collector.fault(FaultRule::new(ResponseTemplate::status(502)).nth(2));
    assert_eq!(statuses(&collector, "GET /", 3), [200, 502, 200]);
    assert_eq!(collector.totals().faulted, 6);
}

#[test]
fn faults_are_chosen_by_number_and_path() {
    let collector = Collector::builder()
        .fault(FaultRule::new(ResponseTemplate::status(429)).path(EVENTS_PATH).range(2..=3))
        .fault(FaultRule::new(ResponseTemplate::status(500)).path(PREDICTIONS_PATH))
        .start()
        .unwrap();
    assert_eq!(statuses(&collector, "GET /", 2), [200, 200]);
    assert_eq!(statuses(&collector, "GET /v1/events/batch?a=b", 4), [405, 429, 429, 405]);
    assert_eq!(statuses(&collector, "GET /v1/predictions/batch", 2), [500, 500]);
}

#[test]
fn the_script_comes_first_and_is_counted() {
    let collector = Collector::start().unwrap();
    collector.fault(FaultRule::new(ResponseTemplate::status(500)).range(..=3));
    collector.fault(ResponseTemplate::status(501));
    collector.script([ResponseTemplate::normal(), ResponseTemplate::status(404)]);
    assert_eq!(statuses(&collector, "GET /", 5), [200, 404, 500, 501, 501]);
    // A scripted usual answer changes nothing.
    assert_eq!(collector.totals().faulted, 4);
}

#[test]
fn a_seed_chooses_the_same_requests_in_each_run() {
    let run = |seed| {
        let collector = Collector::start().unwrap();
        collector.fault(FaultRule::new(ResponseTemplate::status(503)).probability(0.3).seed(seed));
        // By two connections: the order of the requests is all that counts.
        let (mut one, mut other) = (Client::new(&collector), Client::new(&collector));
        (0..200)
            .map(|number| {
                let client = if number * seed % 3 == 0 { &mut one } else { &mut other };
                client.ask("GET /", &[], b"").status
            })
            .collect::<Vec<_>>()
    };
    let first = run(7);
    assert_eq!(run(7), first);
    assert_ne!(run(8), first);
    let hit = first.iter().filter(|status| **status == 503).count();
    // Six standard deviations of 6.5.
    assert!((21..=99).contains(&hit), "{hit}");
}

#[test]
fn a_connection_is_closed_before_anything_is_read() {
    let collector = Collector::start().unwrap();
    collector.fault(FaultRule::close_before_reading().nth(2));
    report(&collector, [event(1)]);
    let closed = Client::new(&collector);
    assert!(collector.wait_for(TOO_LONG, |totals| totals.connections == 2));
    // Not a byte was sent to it.
    assert_eq!(closed.rest(), b"");
    report(&collector, [event(2)]);
    assert_eq!(ids(&collector), [1, 2]);
    let totals = collector.stop();
    assert_eq!((totals.connections, totals.requests, totals.faulted), (3, 2, 1));
}

#[test]
fn a_connection_is_left_alone_for_a_while() {
    let collector = Collector::start().unwrap();
    collector.fault(FaultRule::delay_before_reading(Duration::MAX).nth(1));
    collector.fault(FaultRule::delay_before_reading(Duration::from_millis(30)).nth(2));
    let mut forever = Client::new(&collector);
    forever.post(1);
    assert!(collector.wait_for(TOO_LONG, |totals| totals.connections == 1));
    let mut for_a_while = Client::new(&collector);
    for_a_while.post(2);
    assert_eq!(for_a_while.receive().unwrap().status, 200);
    // Others are not held up, and the first has still not been read.
    report(&collector, [event(3)]);
    assert_eq!(ids(&collector), [2, 3]);
    let requests = collector.requests();
    assert!(requests[0].time >= Duration::from_millis(30), "{requests:?}");
    assert_eq!((requests[0].connection, collector.totals().faulted), (2, 2));
    collector.stop();
    assert!(forever.receive().is_err());
}

#[test]
fn each_fault_is_told_once() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&told);
    let collector = Collector::builder()
        .on_fault(move |fault| lines.lock().unwrap().push(fault.to_string()))
        .fault(FaultRule::delay_before_reading(Duration::from_millis(1)))
        .fault(FaultRule::new(ResponseTemplate::status(503)).nth(2))
        .start()
        .unwrap();
    collector.script([ResponseTemplate::normal()]);
    assert_eq!(statuses(&collector, "GET /health", 3), [200, 503, 200]);
    drop(collector);
    assert_eq!(
        *told.lock().unwrap(),
        [
            "fault on connection 1: delayed by 1ms before reading",
            "fault on request 2, GET /health: status 503",
        ]
    );
}

#[test]
fn a_redirect_leads_to_another_collector() {
    let other = Collector::start().unwrap();
    let collector = Collector::start().unwrap();
    collector.fault(ResponseTemplate::redirect(307, other.url()));
    let mut client = Client::new(&collector);
    client.post(1);
    let answered = client.receive().unwrap();
    assert_eq!(answered.status, 307);
    let expected = format!("{}/v1/events/batch", other.url());
    assert_eq!(answered.header("location"), Some(expected.as_str()));

    // As a client does that follows, with the key.
    let mut client = Client::new(&other);
    client.ask("POST /v1/events/batch", &[("authorization", "Bearer secret")], b"{}");
    let recorded = &other.requests()[0];
    assert_eq!(recorded.authorization, telemetry_collector::Authorization::Valid);
    assert!(!format!("{recorded:?}").contains("secret"), "{recorded:?}");
    assert_eq!(ids(&collector), [], "a redirect takes nothing");
}

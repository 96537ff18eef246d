//! Fault rules.

use std::time::Duration;

use telemetry_collector::{Collector, EVENTS_PATH, FaultRule, PREDICTIONS_PATH, ResponseTemplate};

use crate::client::{Client, TIMEOUT, event, ids, report};

/// The statuses of `count` requests, one after another on one connection.
fn statuses(collector: &Collector, line: &str, count: usize) -> Vec<u16> {
    let mut client = Client::new(collector);
    (0..count).map(|_| client.request(line, b"").status).collect()
}

#[test]
fn script_precedes_rules_and_both_can_be_cleared() {
    let collector = Collector::start().unwrap();
    collector.fault(FaultRule::new(ResponseTemplate::status(500)).times(3));
    collector.fault(ResponseTemplate::status(501));
    collector.script([ResponseTemplate::normal(), ResponseTemplate::status(404)]);
    // The first rule counts the scripted requests.
    assert_eq!(statuses(&collector, "GET /", 5), [200, 404, 500, 501, 501]);
    collector.script([ResponseTemplate::status(500)]);
    collector.clear_faults();
    assert_eq!(statuses(&collector, "GET /", 2), [200, 200]);
    assert_eq!(collector.totals().faulted, 4, "all but the unchanged ones");
}

#[test]
fn rules_of_the_builder_select_by_path_without_query() {
    let busy = FaultRule::new(ResponseTemplate::status(429)).path(EVENTS_PATH).skip(1).times(2);
    let collector = Collector::builder()
        .fault(busy)
        .fault(FaultRule::new(ResponseTemplate::status(500)).path(PREDICTIONS_PATH))
        .start()
        .unwrap();
    assert_eq!(statuses(&collector, "GET /", 2), [200, 200]);
    assert_eq!(statuses(&collector, "GET /v1/events/batch?a=b", 4), [405, 429, 429, 405]);
    assert_eq!(statuses(&collector, "GET /v1/predictions/batch", 2), [500, 500]);
}

#[test]
fn connection_is_closed_before_reading() {
    let collector = Collector::start().unwrap();
    collector.fault(FaultRule::close_before_reading().skip(1).times(1));
    report(&collector, [event(1)]);
    assert_eq!(Client::new(&collector).rest(), b"");
    report(&collector, [event(2)]);
    assert_eq!(ids(&collector), [1, 2]);
    let totals = collector.stop();
    assert_eq!((totals.connections, totals.requests, totals.faulted), (3, 2, 1));
}

#[test]
fn connection_is_delayed_before_reading() {
    let collector = Collector::start().unwrap();
    let delay = Duration::from_millis(30);
    collector.fault(FaultRule::delay_before_reading(Duration::MAX).times(1));
    collector.fault(FaultRule::delay_before_reading(delay).skip(1).times(1));
    let mut forever = Client::new(&collector);
    forever.post(1);
    assert!(collector.wait_for(TIMEOUT, |totals| totals.connections == 1));
    let mut delayed = Client::new(&collector);
    delayed.post(2);
    assert_eq!(delayed.receive().unwrap().status, 200);
    assert_eq!(report(&collector, [event(3)]).status, 200);
    assert_eq!(ids(&collector), [2, 3]);
    let requests = collector.requests();
    assert!(requests[0].time >= delay, "{requests:?}");
    assert_eq!((requests[0].connection, collector.totals().faulted), (2, 2));
    collector.stop();
    assert!(forever.receive().is_err());
}

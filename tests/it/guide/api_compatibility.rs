//! API compatibility.

use std::collections::BTreeSet;

use telemetry_collector::ResponseTemplate;
use telemetry_tests::track;

use super::guide_queries;
use crate::client::Kind;
use crate::support::{collector, start};

#[test]
fn both_clients_request_two_endpoints_only() {
    for kind in Kind::ALL {
        let collector = collector();
        collector.script([503, 200, 429, 400].map(ResponseTemplate::status));
        let client = start(kind, &collector);
        track(&client.handle(), 150);
        let _ = client.refresh(&guide_queries());
        let _ = client.stop();
        let requests = collector.requests();
        assert!(requests.len() >= 5, "{}", requests.len());
        let asked = requests.iter().map(|it| (it.method.as_str(), &*it.path));
        let endpoints = [("POST", "/v1/events/batch"), ("POST", "/v1/predictions/batch")];
        assert_eq!(asked.collect::<BTreeSet<_>>(), BTreeSet::from(endpoints));
    }
}

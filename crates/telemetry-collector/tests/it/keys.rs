//! Keys of a file, and the limits that come with them.

use std::{
    io::{ErrorKind, Write},
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
};

use serde_json::json;
use telemetry_collector::{Authorization, Collector, CollectorBuilder, NewKey, PREDICTIONS_PATH};
use telemetry_model::EventBuilder;
use uuid::Uuid;

use crate::{
    client::{Client, EVENTS, INSTANCE, batch, event, ids},
    temporary::TemporaryFile,
};

fn new_key(name: &str) -> NewKey {
    NewKey::generate(name).expect("a random source")
}

/// A collector with the keys of these entries.
fn start(entries: &str) -> (TemporaryFile, Collector) {
    let file = TemporaryFile::new(entries);
    let collector = Collector::builder().keys(file.path()).start().expect("a valid file");
    (file, collector)
}

/// Posts a batch with this key. Returns the status.
fn post(collector: &Collector, key: &NewKey, id: u128) -> u16 {
    let bearer = format!("Bearer {}", key.key());
    let headers = [("authorization", &*bearer)];
    Client::new(collector).request_with(EVENTS, &headers, &batch([event(id)])).status
}

#[cfg(feature = "page")]
#[test]
fn page_is_shown_under_any_name_to_those_who_have_a_key() {
    let key = new_key("one");
    let (_file, collector) = start(key.entry());
    let mut client = Client::new(&collector);
    for path in ["/", "/page/models.csv", "/page/live"] {
        let mut get = |headers: &[(&str, &str)]| {
            let page = [("accept", "text/html"), ("host", "telemetry.example")];
            client.request_with(&format!("GET {path}"), &[&page[..], headers].concat(), b"")
        };
        let absent = get(&[]);
        let challenge = absent.header("www-authenticate");
        assert_eq!(absent.status, 401, "{path}");
        assert_eq!(challenge, Some("Basic realm=\"telemetry-collector\""), "{path}");
        let unknown = format!("Bearer {}", new_key("two").key());
        assert_eq!(get(&[("authorization", &unknown)]).status, 401, "{path}");
        if path != "/page/live" {
            let known = format!("Bearer {}", key.key());
            assert_eq!(get(&[("authorization", &known)]).status, 200, "{path}");
        }
    }
}

#[test]
fn key_reports_events_of_its_instances_and_others_are_refused() {
    let [one, expired, unknown] = ["one", "expired", "unknown"].map(new_key);
    let instances = format!("instances = [\"{INSTANCE}\", \"{}\"]\n", Uuid::from_u128(6));
    let entries = [one.entry(), &instances, expired.entry(), "until = 2020-01-01\n"].concat();
    let (_file, collector) = start(&entries);
    let mut client = Client::new(&collector);
    let foreign = EventBuilder::new(Uuid::from_u128(7)).event_id(Uuid::from_u128(3)).build();
    let body = batch([event(1), foreign, event(2)]);
    let mut request = |value: &str| client.request_with(EVENTS, &[("authorization", value)], &body);

    let accepted = request(&format!("Bearer {}", one.key()));
    let results = &accepted.json()["results"];
    assert_eq!((accepted.status, ids(&collector)), (200, vec![1, 2]));
    let error = results[1]["error"].as_str().unwrap();
    assert!(
        error.starts_with("/events/1/instance_id: expected an instance of this key"),
        "{error}"
    );

    let reasons = [
        format!("Bearer {}", unknown.key()),
        format!("Bearer {}", &one.key()[1..]),
        format!("Basic {}", one.key()),
    ]
    .map(|value| (request(&value).status, request(&value).error()));
    assert!(reasons.iter().all(|reason| *reason == reasons[0] && reason.0 == 403), "{reasons:?}");
    let refused = request(&format!("Bearer {}", expired.key()));
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (403, "the API key expired has expired")
    );
    let absent = Client::new(&collector).request(EVENTS, &body);
    assert_eq!((absent.status, absent.header("www-authenticate")), (401, Some("Bearer")));
    let text = format!("{:?} {collector:?} {one:?}", collector.requests());
    assert!(!text.contains(one.key()) && !text.contains(unknown.key()));
    assert_eq!(ids(&collector), [1, 2]);
}

#[test]
fn reload_takes_the_new_keys_and_an_invalid_file_leaves_the_previous_ones() {
    let [first, second] = ["first", "second"].map(new_key);
    let (file, collector) = start(first.entry());
    let statuses = |id| [post(&collector, &first, id), post(&collector, &second, id + 1)];
    assert_eq!(statuses(1), [200, 403]);

    file.write(&first.entry().replace("sha256 = \"", "sha256 = \"0"));
    let error = collector.reload().unwrap_err();
    let message = error.to_string();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(message.starts_with(&format!("{}:3: sha256: expected ", file.text())), "{message}");
    assert_eq!(statuses(3), [200, 403]);

    file.write(second.entry());
    assert_eq!(statuses(5), [200, 403], "before the reload");
    collector.reload().unwrap();
    assert_eq!(statuses(7), [403, 200]);

    std::fs::remove_file(file.path()).unwrap();
    assert_eq!(collector.reload().unwrap_err().kind(), ErrorKind::NotFound);
    file.write("");
    collector.reload().unwrap();
    assert_eq!(statuses(9), [403, 403]);
    Collector::start().unwrap().reload().unwrap();
}

#[test]
fn request_above_its_limit_is_refused_until_the_time_in_its_header() {
    let [slow, usual] = ["slow", "usual"].map(new_key);
    let (_file, collector) = start(&[slow.entry(), "rate = 1\n", usual.entry()].concat());
    let bearer = format!("Bearer {}", slow.key());
    let mut client = Client::new(&collector);
    let mut request = |line: &str, id| {
        client.request_with(line, &[("authorization", &*bearer)], &batch([event(id)]))
    };
    assert_eq!(request(EVENTS, 1).status, 200);
    for line in [EVENTS, "GET /health", "GET /nowhere"] {
        let refused = request(line, 2);
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!(refused.status == 429 && (1..=60).contains(&seconds), "{refused:?}");
        assert!(refused.error().ends_with(&format!(" in {seconds} s")), "{refused:?}");
    }
    assert_eq!(post(&collector, &usual, 3), 200);
    let predictions = format!("POST {PREDICTIONS_PATH}");
    let anonymous = Client::new(&collector).request(&predictions, br#"{"queries":[]}"#);
    assert_eq!((anonymous.status, ids(&collector)), (200, vec![1, 3]));
    assert_eq!(collector.totals().refused, 3);
}

#[test]
fn address_without_a_key_is_limited_and_its_valid_keys_are_not() {
    let key = new_key("ci");
    let (_file, collector) = start(key.entry());
    let mut client = Client::new(&collector);
    // The burst, and what is added while it is sent.
    let passed = (0..999).take_while(|_| client.request(EVENTS, b"").status == 401).count();
    assert!((20..999).contains(&passed), "{passed}");
    assert_eq!(post(&collector, &key, 1), 200);
}

#[test]
fn totals_are_shown_to_keys_only() {
    let key = new_key("reader");
    let (_file, collector) = start(key.entry());
    let bearer = format!("Bearer {}", key.key());
    for (value, expected) in [(None, false), (Some("Bearer x"), false), (Some(&*bearer), true)] {
        let headers: Vec<_> = value.map(|value| ("authorization", value)).into_iter().collect();
        let response = Client::new(&collector).request_with("GET /health", &headers, b"");
        assert_eq!(response.status, 200);
        let health = response.json();
        assert_eq!((&health["status"], health["totals"].is_object()), (&json!("ok"), expected));
    }
    let found: Vec<_> = collector.requests().iter().map(|it| it.authorization).collect();
    assert_eq!(found, [Authorization::Absent, Authorization::Invalid, Authorization::Valid]);
}

#[test]
fn large_body_without_a_key_is_discarded() {
    let key = new_key("ci");
    let (_file, collector) = start(key.entry());
    let mut client = Client::new(&collector);
    let predictions = format!("POST {PREDICTIONS_PATH}");
    let mut queries = br#"{"queries":[]}"#.to_vec();
    queries.resize(128 * 1024, b' ');
    assert_eq!(client.request(&predictions, &queries).status, 200);
    queries.push(b' ');
    let refused = client.request(&predictions, &queries);
    assert_eq!((refused.status, refused.error().contains(" 131072 ")), (413, true));

    let mut events = batch([event(1)]);
    events.resize(1 << 20, b' ');
    assert_eq!(client.request(EVENTS, &events).status, 401, "the connection is usable");
    let bearer = format!("Bearer {}", key.key());
    assert_eq!(client.request_with(EVENTS, &[("authorization", &bearer)], &events).status, 200);
    let bodies: Vec<_> = collector.requests().iter().map(|it| it.body.len()).collect();
    assert_eq!(bodies, [128 * 1024, 0, 0, 1 << 20]);
}

#[test]
fn connections_of_an_address_are_limited_and_free_their_place() {
    let key = new_key("ci");
    let (_file, collector) = start(key.entry());
    let mut clients: Vec<_> = (0..64).map(|_| Client::new(&collector)).collect();
    let bearer = format!("Bearer {}", key.key());
    let headers = [("authorization", &*bearer)];
    for client in &mut clients {
        assert_eq!(client.request_with("GET /health", &headers, b"").status, 200);
    }
    assert_eq!(Client::new(&collector).rest(), b"");
    assert_eq!(collector.totals().refused_connections, 1);
    assert_eq!(clients[0].request_with("GET /health", &headers, b"").status, 200);
    drop(clients.pop());
    // The collector sees the end of the connection at any time after it.
    let is_served = |_| {
        let mut stream = Client::connect(collector.addr());
        let sent = stream.write_all(b"GET /health HTTP/1.1\r\n\r\n");
        sent.is_ok() && Client::over(stream).receive().is_ok()
    };
    assert!((0..10_000).any(is_served));
    assert_eq!(collector.totals().connections, 65);
}

#[test]
fn faults_are_injected_into_requests_with_and_without_keys() {
    use telemetry_collector::ResponseTemplate;

    let key = new_key("ci");
    let (_file, collector) = start(key.entry());
    collector.script([ResponseTemplate::status(503), ResponseTemplate::close_after_processing()]);
    assert_eq!(post(&collector, &key, 1), 503);
    let mut client = Client::new(&collector);
    let bearer = format!("Bearer {}", key.key());
    client.send(EVENTS, &[("authorization", &bearer)], &batch([event(2)]));
    assert!(client.receive().is_err());
    assert_eq!(ids(&collector), [2]);
    collector.script([ResponseTemplate::status(200).body_size(1 << 20)]);
    assert_eq!(Client::new(&collector).request("GET /", b"").body.len(), 1 << 20);
}

#[test]
fn settings_that_expose_or_contradict_are_refused() {
    let file = TemporaryFile::new("");
    let builder = || Collector::builder().keys(file.path());
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let rate = NonZeroU32::MIN;
    for (builder, reason) in [
        (Collector::builder().listen(any), "loopback"),
        (builder().listen(any), "loopback"),
        (Collector::builder().listen(any).behind_proxy(), "loopback"),
        (Collector::builder().behind_proxy(), "require keys"),
        (Collector::builder().rate(rate), "require keys"),
        (builder().api_key("k"), "replace"),
        (builder().instance_id(INSTANCE), "replace"),
        #[cfg(feature = "tls")]
        (builder().listen(any).tls(telemetry_collector::Certificate::Valid), "loopback"),
        #[cfg(feature = "tls")]
        (Collector::builder().listen(any).certificate_files("c", "k"), "loopback"),
    ] {
        let error = builder.start().map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
    let missing = Collector::builder().keys("/nowhere/keys.toml").start().map(drop).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().starts_with("/nowhere/keys.toml: "), "{missing}");
}

#[test]
fn collector_behind_a_proxy_listens_on_all_addresses() {
    let key = new_key("ci");
    let file = TemporaryFile::new(key.entry());
    let listen = |builder: CollectorBuilder| builder.listen(Ipv4Addr::UNSPECIFIED.into());
    let collector = listen(Collector::builder().keys(file.path()).behind_proxy()).start().unwrap();
    assert!(collector.addr().ip().is_unspecified());
    let addr = (Ipv4Addr::LOCALHOST, collector.addr().port()).into();
    // More than the connections of one address that is not a proxy.
    let mut clients: Vec<_> = (0..65).map(|_| Client::to(addr)).collect();
    let bearer = format!("Bearer {}", key.key());
    for (client, id) in clients.iter_mut().zip(0..) {
        let headers = [("authorization", &*bearer), ("x-forwarded-for", "192.0.2.1")];
        let response = client.request_with(EVENTS, &headers, &batch([event(id)]));
        assert_eq!(response.status, 200);
    }
    assert_eq!(collector.totals().refused_connections, 0);
}

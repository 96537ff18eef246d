//! The page: its routes, headers, filters, exports and faults.

use telemetry_collector::{Collector, FaultRule, Position, ResponseTemplate};
use telemetry_model::{Cost, EventBuilder, Quality, QualityGate, TaskCompletionEvent, Tokens};
use uuid::Uuid;

use crate::client::{Client, EVENTS, INSTANCE, Response, batch, event, report};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// A model whose name would run in a page that does not escape it.
const HOSTILE: &str = "<script>alert(1)</script>";

const TABLES: [&str; 11] = [
    "time",
    "models",
    "harnesses",
    "task-types",
    "providers",
    "complexities",
    "estimates",
    "gates",
    "predictions",
    "events",
    "rejections",
];

fn get(collector: &Collector, path: &str) -> Response {
    Client::new(collector).request_with(&format!("GET {path}"), &[HTML], b"")
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).expect("it is text")
}

fn task(id: u128, model: &str) -> TaskCompletionEvent {
    EventBuilder::new(INSTANCE)
        .event_id(Uuid::from_u128(id))
        .model(model)
        .tokens(Tokens { actual_in: 1_234_567, ..Tokens::default() })
        .cost(Cost { actual: 3_400_000, estimated: 1_700_000 })
        .duration_ms(250_123)
        .quality(Quality {
            passed: false,
            gates_run: vec![QualityGate::Build, QualityGate::Lint],
            gates_failed: vec![QualityGate::Lint],
        })
        .build()
}

#[test]
fn page_is_sent_to_clients_that_accept_html_and_health_to_all_others() {
    let collector = Collector::start().unwrap();
    let mut client = Client::new(&collector);
    for (path, accept, kind) in [
        ("/", Some(HTML.1), "text/html; charset=utf-8"),
        ("/?model=a", Some("text/html"), "text/html; charset=utf-8"),
        ("/page/", None, "text/html; charset=utf-8"),
        ("/", None, "application/json"),
        ("/", Some("*/*"), "application/json"),
        ("/", Some("application/json"), "application/json"),
        ("/health", Some(HTML.1), "application/json"),
    ] {
        let headers: Vec<_> = accept.iter().map(|accept| ("accept", *accept)).collect();
        let response = client.request_with(&format!("GET {path}"), &headers, b"");
        assert_eq!((response.status, response.header("content-type")), (200, Some(kind)), "{path}");
        if kind == "application/json" {
            assert_eq!(response.json()["status"], "ok");
        }
    }
}

#[test]
fn every_response_of_the_page_has_the_security_headers() {
    let collector = Collector::start().unwrap();
    for (path, status) in [
        ("/", 200),
        ("/?from=never", 400),
        ("/page/models.csv", 200),
        ("/page/models.json?x=y", 400),
        ("/page/nothing", 404),
        ("/page/nothing.csv", 404),
        ("/page/models.xml", 404),
        ("/page/live", 200),
    ] {
        let mut client = Client::new(&collector);
        client.send(&format!("GET {path}"), &[HTML], b"");
        let response = client.receive().unwrap();
        assert_eq!(response.status, status, "{path}");
        let policy = response.header("content-security-policy").unwrap();
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        let expected = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src \
             data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        assert_eq!(policy, expected);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
            ("vary", "accept"),
        ] {
            assert_eq!(response.header(name), Some(value), "{path}");
        }
        if path == "/" {
            let html = text(&response);
            assert_eq!(html.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
            assert!(!text(&get(&collector, "/")).contains(nonce), "a nonce is used once");
            // Nothing is loaded from elsewhere.
            for loads in ["=\"http", "=\"//", "src=", "url(", "@import"] {
                assert!(!html.contains(loads), "{loads}");
            }
        }
    }
}

#[test]
fn page_is_shown_under_names_of_this_machine_only() {
    let collector = Collector::start().unwrap();
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("example.org", 403),
        ("localhost.example.org", 403),
        ("127.0.0.1.example.org:8000", 403),
        ("192.0.2.1", 403),
        ("localhost:8000@example.org", 403),
        ("", 403),
    ] {
        for path in ["/", "/page/events.json", "/page/live"] {
            let mut client = Client::new(&collector);
            let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\n\r\n");
            client.write(head).unwrap();
            assert_eq!(client.receive().unwrap().status, status, "{host} {path}");
        }
    }
    // API v1 is as it was.
    let mut client = Client::new(&collector);
    let body = batch([event(1)]);
    let length = body.len();
    let head =
        format!("{EVENTS} HTTP/1.1\r\nhost: example.org\r\ncontent-length: {length}\r\n\r\n");
    client.write([head.as_bytes(), &body].concat()).unwrap();
    assert_eq!(client.receive().unwrap().status, 200);
}

#[test]
fn hostile_names_are_escaped_everywhere() {
    let collector = Collector::start().unwrap();
    let formula = "=HYPERLINK(\"http://192.0.2.1\")";
    let quotes = "\"' onload=x & </svg>";
    let mut events = vec![task(1, HOSTILE), task(2, formula), task(3, quotes)];
    events[0].harness = serde_json::from_value(serde_json::json!(HOSTILE)).unwrap();
    events[0].provider = serde_json::from_value(serde_json::json!(HOSTILE)).unwrap();
    events[0].task_type = serde_json::from_value(serde_json::json!(HOSTILE)).unwrap();
    events[0].complexity = serde_json::from_value(serde_json::json!(HOSTILE)).unwrap();
    events[0].outcome = serde_json::from_value(serde_json::json!(HOSTILE)).unwrap();
    events[0].quality_gates_run[0] = serde_json::from_value(serde_json::json!(HOSTILE)).unwrap();
    events[0].language = Some(HOSTILE.into());
    assert_eq!(report(&collector, events).json()["accepted"], 3);
    // The reason of a rejection quotes the event.
    let invalid = format!(r#"{{"events":[{{"{HOSTILE}":1}}]}}"#);
    Client::new(&collector).request(EVENTS, invalid.as_bytes());

    let encoded = "%3Cscript%3Ealert%281%29%3C%2Fscript%3E";
    let filtered = format!("/?model={encoded}");
    for path in
        ["/", &filtered, &format!("/?harness={encoded}x"), &format!("/?{encoded}={encoded}")]
    {
        let page = get(&collector, path);
        let html = text(&page);
        assert!(!html.contains(HOSTILE), "{path}");
        assert_eq!(html.matches("<script").count(), 1, "{path}");
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{path}");
        assert!(!html.contains("\"' onload"), "{path}");
    }
    // The link of a row filters by its name.
    let all = get(&collector, "/");
    assert!(text(&all).contains(&format!("href=\"{filtered}\"")));
    let one = get(&collector, &format!("/page/models.json?model={encoded}")).json();
    assert_eq!(
        (&one["rows"][0]["model"], &one["rows"][1]),
        (&HOSTILE.into(), &serde_json::Value::Null)
    );
    assert_eq!(one["filter"]["model"], HOSTILE);

    for table in TABLES {
        let csv = get(&collector, &format!("/page/{table}.csv"));
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        for cell in text(&csv).split([',', '\n']).map(|it| it.trim_start_matches('"')) {
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{table}: {cell}");
        }
        get(&collector, &format!("/page/{table}.json")).json();
    }
    let csv = get(&collector, "/page/models.csv");
    assert!(text(&csv).contains("\"'=HYPERLINK(\"\"http://192.0.2.1\"\")\","), "{}", text(&csv));
}

#[test]
fn figures_have_units_and_exact_values() {
    let collector = Collector::start().unwrap();
    report(&collector, [task(1, "m")]);
    let page = get(&collector, "/");
    let html = text(&page);
    for part in [
        "1.23 M",
        "1,234,567 tokens",
        "$3.40",
        "$3.400000",
        "4 min 10 s",
        "250,123 ms",
        "2.00×",
        "<th scope=\"row\">lint</th>",
        "low</td>",
        "00000000-0000-0000-0000-000000000001",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(html.matches("<caption").count(), html.matches("<table").count());
}

#[test]
fn empty_page_says_how_to_send_the_first_event() {
    let collector = Collector::start().unwrap();
    let page = get(&collector, "/");
    let html = text(&page).replace("&quot;", "\"");
    assert!(html.contains("export MOSAIC_TELEMETRY_SERVER_URL=http://localhost"), "{html}");
    let example = html.split_once("-d '").unwrap().1.split_once('\'').unwrap().0;
    let response = Client::new(&collector).request(EVENTS, example.as_bytes());
    assert_eq!(response.json()["accepted"], 1);
    assert!(text(&get(&collector, "/")).contains("first-model"));
}

#[test]
fn wrong_filters_are_an_error_and_unknown_values_are_named() {
    let collector = Collector::start().unwrap();
    report(&collector, [task(1, "m")]);
    let page = get(&collector, "/?modle=m&to=soon");
    assert_eq!(page.status, 400);
    assert!(text(&page).contains("modle: no such filter"), "{}", text(&page));
    assert!(text(&page).contains("to: expected a date such as 2026-11-28"));
    let table = get(&collector, "/page/models.csv?modle=m&to=soon");
    assert_eq!(table.status, 400);
    assert!(
        table.error().contains("modle: no such filter") && table.error().contains("to: expected")
    );
    let page = get(&collector, "/?model=n");
    assert_eq!(page.status, 200);
    assert!(text(&page).contains("There is no task with the model <b>n</b>."));
}

#[test]
fn exports_follow_the_filters() {
    let collector = Collector::start().unwrap();
    report(&collector, [task(1, "a"), task(2, "a"), task(3, "b")]);
    let rows = |path: &str| get(&collector, path).json()["rows"].as_array().unwrap().clone();
    assert_eq!(rows("/page/events.json?model=a").len(), 2);
    assert_eq!(rows("/page/events.json?to=1999-01-01").len(), 0);
    let models = rows("/page/models.json?model=b");
    assert_eq!((models.len(), &models[0]["cost_usd_micros"]), (1, &3_400_000.into()));
    let gates = get(&collector, "/page/gates.csv?model=a");
    assert_eq!(text(&gates), "gate,run,failed\r\nlint,2,2\r\nbuild,2,0\r\n");
    let name = Some("inline; filename=\"telemetry-gates.csv\"");
    assert_eq!(gates.header("content-disposition"), name);
    let predictions = rows("/page/predictions.json");
    assert_eq!(
        (&predictions[0]["model"], &predictions[0]["sample_size"]),
        (&"a".into(), &2.into())
    );
    assert_eq!(predictions[0]["cost_usd_micros_median"], 3_400_000.0);
    let time = rows("/page/time.json");
    assert_eq!(time.iter().map(|row| row["tasks"].as_u64().unwrap()).sum::<u64>(), 3);
    let method = Client::new(&collector).request("POST /page/models.csv", b"");
    assert_eq!((method.status, method.header("allow")), (405, Some("GET")));
}

/// The version of the events that a page shows.
fn version(collector: &Collector) -> String {
    let page = get(collector, "/");
    let rest = text(&page).split_once("data-version=\"").expect("it has one").1;
    rest.split_once('"').expect("it ends").0.to_owned()
}

/// The first message of a new listener.
fn first_message(collector: &Collector) -> String {
    let mut client = Client::new(collector);
    client.send("GET /page/live", &[], b"");
    let response = client.receive().expect("there is a response");
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let mut message = Vec::new();
    while !message.ends_with(b"\n\n") {
        let mut byte = [0];
        assert_eq!(client.read(&mut byte).expect("the stream is open"), 1);
        message.push(byte[0]);
    }
    String::from_utf8(message).expect("it is text")
}

#[test]
fn version_changes_with_accepted_and_rejected_events_only() {
    let collector = Collector::start().unwrap();
    let mut last = version(&collector);
    for (id, changes) in [(1, true), (1, false), (2, true)] {
        report(&collector, [event(id)]);
        let next = version(&collector);
        assert_eq!(next != last, changes, "{last} {next}");
        assert!(first_message(&collector).ends_with(&format!("data: {next}\n\n")));
        last = next;
    }
    Client::new(&collector).request(EVENTS, br#"{"events":[{}]}"#);
    assert_ne!(version(&collector), last);
    let page = get(&collector, "/");
    assert!(text(&page).contains("no event_id"));
}

#[test]
fn faults_apply_to_the_page_whose_requests_are_counted_but_not_logged() {
    let collector = Collector::start().unwrap();
    collector.script([ResponseTemplate::status(503)]);
    assert_eq!(get(&collector, "/").error(), "scripted");
    collector.fault(FaultRule::new(ResponseTemplate::normal().cut(Position::InBody)).path("/"));
    let mut client = Client::new(&collector);
    client.send("GET /", &[HTML], b"");
    let cut = client.rest();
    assert!(cut.starts_with(b"HTTP/1.1 200") && !cut.ends_with(b"</html>"));
    collector.clear_faults();
    // A stream that is sent byte by byte has no messages.
    collector.fault(FaultRule::new(ResponseTemplate::normal().chunked()).path("/page/live"));
    let mut client = Client::new(&collector);
    client.send("GET /page/live", &[], b"");
    assert!(client.rest().ends_with(b"\r\n\r\n0\r\n\r\n"));
    assert_eq!(collector.totals().requests, 3);
    assert!(collector.requests().is_empty());
    Client::new(&collector).request("GET /", b"");
    assert_eq!(collector.requests().len(), 1, "this one is for the health");
}

#[cfg(feature = "_database")]
#[test]
fn page_of_a_store_is_that_of_memory_also_after_a_restart() {
    let tasks: Vec<_> = (0..300).map(|id| task(id, ["a", "b", HOSTILE][id as usize % 3])).collect();
    for place in crate::store::Place::all() {
        let (memory, stored) = (Collector::start().unwrap(), place.start());
        for collector in [&memory, &stored] {
            for tasks in tasks.chunks(100) {
                report(collector, tasks.iter().cloned());
            }
            Client::new(collector).request(EVENTS, br#"{"events":[{}]}"#);
        }
        let before = version(&stored);
        drop(stored);
        let stored = place.start();
        assert_ne!(version(&stored), before);
        for table in TABLES {
            for query in ["", "?model=a", "?to=1999-01-01"] {
                let rows = |collector| {
                    let path = format!("/page/{table}.json{query}");
                    let mut rows = get(collector, &path).json()["rows"].as_array().unwrap().clone();
                    // The time of the test.
                    rows.iter_mut().for_each(|row| row["received"] = serde_json::Value::Null);
                    rows
                };
                assert_eq!(rows(&stored), rows(&memory), "{table}{query}");
            }
        }
        assert!(text(&get(&stored, "/")).contains("&lt;script&gt;"));
    }
}

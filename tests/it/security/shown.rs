//! The output of the values of the API.

use mosaicstack_telemetry::{
    PredictionError, TelemetryClient, TelemetryConfig, TelemetryConfigBuilder,
    sans_io::Action,
    transport::{HyperTransport, Request, Response, TransportError, UreqTransport},
};
use telemetry_tests::{INSTANCE, KEY, Log, Simulation, config, status, track};

use super::{
    clients::query,
    forms::{Search, debugged, everything},
};

const URL: &str = "https://example.com";

/// Configurations with the key in the wrong place.
fn misplaced() -> Vec<(String, TelemetryConfigBuilder)> {
    let keys = [KEY.to_owned(), format!("Bearer {KEY}"), format!(" {KEY}x"), KEY.to_uppercase()];
    let mut builders = Vec::new();
    for key in keys {
        for url in [
            key.clone(),
            format!("http://{key}"),
            format!("https://{key}/"),
            format!("https://example.com:{key}"),
            format!("https://{key}:{key}@example.com"),
            format!("https://example.com/?key={key}"),
            format!("https://example.com/#{key}"),
            format!("https://example.com/{key}"),
            format!("{key}://example.com"),
            format!("http://{key}.example.com:8000"),
        ] {
            builders.push((format!("url {url}"), config(&url)));
            let default = TelemetryConfig::builder().api_key(KEY).default_server_url(&url);
            builders.push((format!("default url {url}"), default.instance_id(INSTANCE)));
        }
        builders.push((format!("instance {key}"), config(URL).instance_id(&key)));
        builders.push((format!("key {key}"), config("http://a").api_key(format!("{key}0"))));
        let cut = key[..key.len() - 1].to_owned();
        builders.push((format!("key {cut}"), config("http://a").api_key(cut)));
        for name in ["SERVER_URL", "API_KEY", "INSTANCE_ID", "ENABLED"] {
            let variable = format!("MOSAIC_TELEMETRY_{name}");
            let value = |asked: &str| (asked == variable).then(|| key.clone());
            builders
                .push((format!("{variable}={key}"), TelemetryConfig::builder().with_vars(value)));
        }
    }
    builders
}

#[test]
fn config_errors_never_contain_the_key() {
    let (mut search, mut issues, log) = (Search::new(), 0, Log::new());
    for (place, builder) in misplaced() {
        search.must_not_find(&place, &debugged(&builder));
        match builder.clone().build() {
            Ok(config) => search.must_not_find(&place, &debugged(&config)),
            Err(error) => {
                issues += error.issues().len();
                search.must_not_find(&place, &everything(&error));
                search.must_not_find(&place, &debugged(&error.issues()));
            }
        }
        let _ = builder.build_or_disabled();
    }
    let lines = log.lines("");
    assert!(lines.len() >= issues, "{} lines of {issues} issues", lines.len());
    search.must_not_find("the log", &lines.join("\n"));
}

#[test]
fn values_never_show_the_key() {
    let mut search = Search::new();
    let builder = config(URL).with_env().dry_run(false);
    search.must_not_find("a builder", &debugged(&builder));
    let config = builder.build().unwrap();
    search.must_not_find("a configuration", &debugged(&config));
    search.must_not_find("a URL", &debugged(&config.server_url()));

    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 2);
    let now = simulation.instant();
    simulation.submitter.flush(now);
    search.must_not_find("a submitter", &debugged(&simulation.submitter));
    search.must_not_find("a handle", &debugged(&simulation.handle));
    let action = simulation.submitter.poll(now);
    search.must_not_find("an action", &debugged(&action));
    let Action::Send(request, delivery) = action else { panic!("nothing is sent") };
    assert_eq!(request.headers()["authorization"], format!("Bearer {KEY}"));
    search.must_not_find("a request", &debugged(&request));
    search.must_not_find("its headers", &debugged(request.headers()));
    search.must_not_find("a delivery", &debugged(&delivery));

    for (name, error) in [
        ("a time-out", TransportError::Timeout),
        ("an error", TransportError::other(format!("{request:?}"))),
        ("another", TransportError::network(format!("{:?}", request.headers()))),
    ] {
        search.must_not_find(name, &everything(&PredictionError::Transport(error.clone())));
        search.must_not_find(name, &everything(&error));
    }
    search.must_not_find("a transport", &debugged(&UreqTransport::new()));
    search.must_not_find("a transport", &debugged(&HyperTransport::new()));

    let accept = |_: Request| Ok::<Response, TransportError>(status(200));
    let client = TelemetryClient::with_transport(config, accept);
    let mut task = client.begin(client.event());
    task.record(|event| event.model("a-model"));
    search.must_not_find("a client", &debugged(&client));
    search.must_not_find("a task", &debugged(&task));
    search.must_not_find("a predictor", &debugged(&client.predictions().clone()));
    let lookup = simulation.predictions.lookup([query()]);
    search.must_not_find("a lookup", &debugged(&lookup));
    task.discard();
    let stats = client.stop();
    search.must_not_find("stats", &format!("{stats}{stats:?}{:?}", simulation.handle.stats()));
}

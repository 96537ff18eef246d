//! `Debug` and `Display` of the values of the API.

use mosaicstack_telemetry::{
    PredictionError, TelemetryClient, TelemetryConfig, TelemetryConfigBuilder,
    sans_io::Action,
    transport::{HyperTransport, Request, Response, TransportError, UreqTransport},
};
use telemetry_tests::{KEY, Log, Simulation, config, status, track};

use super::search::{Search, debugged, everything};
use crate::support::query;

/// Builders with the key, or a part of it, in each parameter.
fn misplaced() -> Vec<(String, TelemetryConfigBuilder)> {
    let mut builders = Vec::new();
    for key in
        [KEY, &KEY[..63], &format!("{KEY}0"), &format!("Bearer {KEY}"), &format!("\"{KEY}\"")]
    {
        for url in [
            key,
            &format!("https://{key}"),
            &format!("https://u:{key}@host"),
            &format!("https://host/{key}?{key}#{key}"),
        ] {
            builders.push((format!("URL {url}"), config(url).api_key(key)));
        }
        for name in ["SERVER_URL", "API_KEY", "INSTANCE_ID", "ENABLED"] {
            let variable = format!("MOSAIC_TELEMETRY_{name}");
            let place = format!("{variable}={key}");
            let key = key.to_owned();
            let value = move |name: &str| (name == variable).then(|| key.clone());
            builders.push((place, TelemetryConfig::builder().with_vars(value)));
        }
    }
    builders
}

#[test]
fn misplaced_key_is_in_no_error_and_no_log() {
    let (search, log, mut invalid) = (Search::new(), Log::new(), 0);
    for (place, builder) in misplaced() {
        search.must_not_find(&place, &debugged(&builder));
        match builder.clone().build() {
            Ok(config) => search.must_not_find(&place, &debugged(&config)),
            Err(error) => {
                invalid += 1;
                search.must_not_find(&place, &everything(&error));
                search.must_not_find(&place, &debugged(&error.issues()));
            }
        }
        let _ = builder.build_or_disabled();
    }
    assert!(invalid >= 30, "{invalid}");
    assert_eq!(log.lines("telemetry is disabled: ").len(), invalid);
    search.must_not_find("the log", &log.lines("").join("\n"));
}

#[test]
fn values_never_show_the_key() {
    let search = Search::new();
    let builder = config("https://example.com").with_env().dry_run(false);
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
    let transports = (UreqTransport::new(), HyperTransport::new());
    search.must_not_find("transports", &debugged(&transports));

    let accept = |_: Request| Ok::<Response, TransportError>(status(200));
    let client = TelemetryClient::with_transport(config, accept);
    let mut task = client.begin(client.event());
    task.record(|event| event.model("a-model"));
    search.must_not_find("a client", &debugged(&(&client, &task, client.predictions())));
    let lookup = simulation.predictions.lookup([query(0)]);
    search.must_not_find("a lookup", &debugged(&lookup));
    task.discard();
    let stats = client.stop();
    search.must_not_find("stats", &format!("{stats}{stats:?}{:?}", simulation.handle.stats()));
}

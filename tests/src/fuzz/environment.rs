//! Configuration from environment variables.

use std::collections::BTreeSet;

use mosaicstack_telemetry::{
    ConfigError, ServerUrl, TelemetryConfig, TelemetryConfigBuilder, sans_io::Action,
};

use super::{assert_no_key, with_key};
use crate::{INSTANCE, Simulation, track};

/// The variables and their parameters.
const VARIABLES: [(&str, &str); 4] = [
    ("MOSAIC_TELEMETRY_SERVER_URL", "server_url"),
    ("MOSAIC_TELEMETRY_API_KEY", "api_key"),
    ("MOSAIC_TELEMETRY_INSTANCE_ID", "instance_id"),
    ("MOSAIC_TELEMETRY_ENABLED", "enabled"),
];

/// Examples that messages contain with any values.
const EXAMPLES: [&str; 2] =
    ["a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d", "https://tel-api.mosaicstack.dev"];

/// Longest message: 200 characters of a value, and fewer around it.
const MAX_MESSAGE: usize = 2 * 200;

/// A shorter key could be in a message by chance.
const SHORTEST_SECRET: usize = 16;

type Values<'a> = [Option<&'a str>; 4];

/// The input is the four variables, a line each; a variable without a line is unset.
pub(super) fn check(input: &[u8]) {
    let input = with_key(input);
    let mut lines = input.split('\n');
    let values: Values<'_> = VARIABLES.map(|_| lines.next());
    for allow_plain_http in [false, true] {
        check_values(values, allow_plain_http);
    }
}

fn check_values(values: Values<'_>, allow_plain_http: bool) {
    let builder = builder(values).allow_plain_http(allow_plain_http);
    assert_no_key(&format!("{builder:?}"));
    let built = builder.clone().build();
    let is_enabled = built.as_ref().is_ok_and(TelemetryConfig::is_enabled);
    assert_eq!(builder.build_or_disabled().is_enabled(), is_enabled);
    if let Err(error) = &built {
        check_error(error, values);
    }
    check_independence(&built, values, allow_plain_http);
    if let Some((config, url)) = built.ok().as_ref().and_then(|it| Some((it, it.server_url()?))) {
        let key = values[1].map(str::trim).expect("it is required");
        assert!(!format!("{config:?}").contains(key), "{config:?}");
        check_url(url, allow_plain_http);
        check_request(config, url, key);
    }
}

fn builder(values: Values<'_>) -> TelemetryConfigBuilder {
    TelemetryConfig::builder().with_vars(|name| {
        let index = VARIABLES.iter().position(|(variable, _)| *variable == name)?;
        values[index].map(str::to_owned)
    })
}

/// One short issue for each parameter, and no secret in any.
fn check_error(error: &ConfigError, values: Values<'_>) {
    for (index, issue) in error.issues().iter().enumerate() {
        assert!(issue.message.chars().count() <= MAX_MESSAGE, "{issue}");
        assert!(!issue.message.contains(char::is_control), "{issue:?}");
        assert!(error.issues()[..index].iter().all(|it| it.parameter != issue.parameter));
    }
    let message = error.to_string();
    assert_no_key(&message);
    let key = values[1].map(str::trim).filter(|key| key.len() >= SHORTEST_SECRET);
    let words = EXAMPLES.into_iter().chain(VARIABLES.map(|(variable, _)| variable));
    let message = words.fold(message, |it, word| it.replace(word, ""));
    assert!(key.is_none_or(|key| !holds(&message, key) || is_in_messages(key)), "{message}");
}

/// True if the messages about other values contain this text: a key can be a part of them.
fn is_in_messages(key: &str) -> bool {
    let other = "-".repeat(key.len());
    let built = builder([Some("-"), Some(&other), None, Some("-")]).build();
    built.is_err_and(|error| holds(&error.to_string(), key))
}

/// An invalid value is reported whatever the other values are, and no valid one is.
fn check_independence(
    built: &Result<TelemetryConfig, ConfigError>,
    values: Values<'_>,
    allow_plain_http: bool,
) {
    let other_key = key_outside(values[0].unwrap_or_default());
    let valid = ["https://example.com", &other_key, INSTANCE, "true"];
    let alone = [0, 1, 2, 3].map(|index| {
        let mut others = valid.map(Some);
        others[index] = values[index];
        builder(others).allow_plain_http(allow_plain_http).build()
    });
    if alone[3].as_ref().is_ok_and(|config| !config.is_enabled()) {
        assert!(built.as_ref().is_ok_and(|config| !config.is_enabled()), "{built:?}");
        return;
    }
    let mut is_invalid = alone.map(|built| built.is_err());
    // Both can be valid alone while the URL contains the key.
    let key_in_url = values[0].zip(values[1]).is_some_and(|(url, key)| holds(url, key));
    is_invalid[0] |= !is_invalid[1] && key_in_url;
    let names = VARIABLES.iter().zip(is_invalid).filter(|(_, is_invalid)| *is_invalid);
    let expected: BTreeSet<_> = names.map(|((_, parameter), _)| *parameter).collect();
    let issues = built.as_ref().err().map(ConfigError::issues).unwrap_or_default();
    assert_eq!(issues.iter().map(|issue| &*issue.parameter).collect::<BTreeSet<_>>(), expected);
}

/// True if the URL contains the key, in any case.
fn holds(url: &str, key: &str) -> bool {
    url.to_ascii_lowercase().contains(&key.trim().to_ascii_lowercase())
}

/// A key that the URL does not contain.
fn key_outside(url: &str) -> String {
    let mut keys = (0_u64..).map(|number| format!("{number:064x}"));
    keys.find(|key| !holds(url, key)).expect("a URL has fewer substrings than there are keys")
}

/// The URL has no query, fragment or user, and parses again to the same.
fn check_url(url: &ServerUrl, allow_plain_http: bool) {
    let text = url.as_str();
    let is_plain = text.starts_with("http://");
    assert!(is_plain || text.starts_with("https://"), "{text}");
    assert!(!text.contains(['#', '?']) && !text.ends_with('/'), "{text}");
    let host = text.split('/').nth(2).unwrap_or_default();
    assert!(!host.is_empty() && !host.contains('@'), "{text}");
    if is_plain && !allow_plain_http {
        let is_loopback = ["localhost", "127.", "[::1]"]
            .iter()
            .any(|it| host.to_ascii_lowercase().starts_with(it));
        assert!(is_loopback, "{text}");
    }
    let key = key_outside(text);
    let again = builder([Some(text), Some(&key), Some(INSTANCE), None]);
    let again = again.allow_plain_http(allow_plain_http).build().expect("it was accepted before");
    assert_eq!(again.server_url(), Some(url));
}

/// A request goes below the URL, with the key in its header only.
fn check_request(config: &TelemetryConfig, url: &ServerUrl, key: &str) {
    let mut simulation = Simulation::new(config);
    track(&simulation.handle, 1);
    simulation.submitter.flush(simulation.instant());
    let Action::Send(request, _delivery) = simulation.submitter.poll(simulation.instant()) else {
        panic!("nothing is sent")
    };
    assert_eq!(request.uri().to_string(), format!("{url}/v1/events/batch"));
    assert_eq!(request.headers()["authorization"], format!("Bearer {key}"));
    assert!(!format!("{request:?}").contains(key));
}

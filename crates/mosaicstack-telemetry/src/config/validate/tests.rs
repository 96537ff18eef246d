//! Valid and invalid configurations.

use super::*;
use crate::RetryPolicy;

pub(in crate::config) const URL: &str = "https://tel-api.mosaicstack.dev";
pub(in crate::config) const KEY: &str =
    "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";
pub(in crate::config) const INSTANCE: &str = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d";

fn builder() -> TelemetryConfigBuilder {
    TelemetryConfig::builder().server_url(URL).api_key(KEY).instance_id(INSTANCE)
}

pub(in crate::config) fn vars<const N: usize>(
    vars: [(&'static str, &'static str); N],
) -> impl Fn(&str) -> Option<String> {
    move |name| {
        let (_, value) = vars.iter().find(|(variable, _)| *variable == name)?;
        Some((*value).to_owned())
    }
}

pub(in crate::config) fn issues(builder: TelemetryConfigBuilder) -> Vec<String> {
    let error = builder.build().unwrap_err();
    error.issues().iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_match_the_documented_values() {
    let config = builder().build().unwrap();
    assert!(config.is_enabled());
    assert_eq!(config.server_url().unwrap().as_str(), URL);
    assert_eq!(config.instance_id().to_string(), INSTANCE);
    assert_eq!(config.submit_interval(), Duration::from_secs(300));
    assert_eq!(config.max_queue_size, 1000);
    assert_eq!(config.batch_size, 100);
    assert_eq!(config.request_timeout, Duration::from_secs(10));
    assert_eq!(config.prediction_cache_ttl, Duration::from_secs(21_600));
    assert_eq!(config.no_data_cache_ttl, Duration::from_secs(600));
    assert_eq!(config.shutdown_timeout(), Duration::from_secs(5));
    assert_eq!(config.retry_policy.max_retries, 3);
    assert!(!config.is_dry_run());
    assert!(config.early_flush && config.interval_jitter);
}

#[test]
fn environment_sets_only_missing_parameters() {
    const LOCAL: &str = "http://localhost:8000";
    let env = || {
        vars([
            ("MOSAIC_TELEMETRY_SERVER_URL", LOCAL),
            ("MOSAIC_TELEMETRY_API_KEY", KEY),
            ("MOSAIC_TELEMETRY_INSTANCE_ID", INSTANCE),
            ("MOSAIC_TELEMETRY_ENABLED", "TRUE"),
        ])
    };
    let switch = |value| vars([("MOSAIC_TELEMETRY_ENABLED", value)]);
    let new = TelemetryConfig::builder;
    for (builder, url) in [
        (new().with_vars(env()), Some(LOCAL)),
        (builder().with_vars(env()), Some(URL)),
        (new().with_vars(env()).server_url(URL), Some(URL)),
        (new().default_server_url(URL).with_vars(env()), Some(LOCAL)),
        (builder().default_server_url(LOCAL), Some(URL)),
        (new().api_key(KEY).instance_id(INSTANCE).default_server_url(URL), Some(URL)),
        (new().enabled(false).with_vars(env()), None),
        (builder().with_vars(switch("off")), None),
        (builder().with_vars(switch(" ")), Some(URL)),
    ] {
        let config = builder.clone().build().unwrap();
        assert_eq!(config.server_url().map(ServerUrl::as_str), url, "{builder:?}");
    }
}

#[test]
fn build_if_set_is_off_without_variables_and_lists_what_is_missing_otherwise() {
    const ON: [(&str, &str); 1] = [("MOSAIC_TELEMETRY_ENABLED", "true")];
    const ONE: [(&str, &str); 1] = [("MOSAIC_TELEMETRY_API_KEY", KEY)];
    const EMPTY: [(&str, &str); 1] = [("MOSAIC_TELEMETRY_API_KEY", " ")];
    const OFF: [(&str, &str); 1] = [("MOSAIC_TELEMETRY_ENABLED", "off")];
    const WISH: [(&str, &str); 1] = [("DO_NOT_TRACK", "1")];
    let new = TelemetryConfig::builder;
    for (builder, vars, expected) in [
        (new(), [].as_slice(), Ok(false)),
        (new(), EMPTY.as_slice(), Ok(false)),
        (new().default_server_url(URL), &[], Ok(false)),
        (new().server_url(URL).instance_id(INSTANCE), &[], Ok(false)),
        (new().server_url(URL).instance_id(INSTANCE), &ONE, Ok(true)),
        (new(), &OFF, Ok(false)),
        (new(), &ONE, Err(["server_url", "instance_id"].as_slice())),
        (new().server_url("ftp://x"), &ONE, Err(&["server_url", "instance_id"])),
        (new(), &ON, Err(&["server_url", "api_key", "instance_id"])),
        // Set in the environment, and overridden by code.
        (new().api_key(KEY), &ONE, Err(&["server_url", "instance_id"])),
        (new().with_vars(vars(ONE)).api_key(KEY), &[], Err(&["server_url", "instance_id"])),
        (new().api_key(KEY), &EMPTY, Ok(false)),
        (new().enabled(false), &ONE, Ok(false)),
        (new().enabled(true), &OFF, Err(&["server_url", "api_key", "instance_id"])),
        (new().api_key(KEY), &WISH, Ok(false)),
        (new().default_server_url(URL).api_key(KEY).instance_id(INSTANCE), &[], Ok(true)),
        (new().enabled(true), &[], Err(&["server_url", "api_key", "instance_id"])),
        (builder(), &[], Ok(true)),
        (new().batch_size(0), &[], Err(&["batch_size"])),
    ] {
        let variable = |name: &str| {
            let (_, value) = vars.iter().find(|(variable, _)| *variable == name)?;
            Some((*value).to_owned())
        };
        let built = builder.clone().with_vars(variable).build_if_set();
        let parameters = |error: &ConfigError| -> Vec<_> {
            error.issues().iter().map(|it| it.parameter.clone().into_owned()).collect()
        };
        let found = built.as_ref().map(TelemetryConfig::is_enabled).map_err(parameters);
        let expected = expected.map_err(|all| all.iter().map(ToString::to_string).collect());
        assert_eq!(found, expected, "{builder:?}, {vars:?}");
    }
}

#[test]
fn do_not_track_turns_off_what_only_the_environment_turned_on() {
    let env = |value| {
        vars([
            ("MOSAIC_TELEMETRY_SERVER_URL", URL),
            ("MOSAIC_TELEMETRY_API_KEY", KEY),
            ("MOSAIC_TELEMETRY_INSTANCE_ID", INSTANCE),
            ("MOSAIC_TELEMETRY_ENABLED", "true"),
            ("DO_NOT_TRACK", value),
        ])
    };
    let new = TelemetryConfig::builder;
    for value in ["", " ", "0", "false", "No", "OFF"] {
        assert!(new().with_vars(env(value)).build().unwrap().is_enabled(), "{value}");
    }
    for value in ["1", "true", "Yes", " on ", "please"] {
        assert!(!new().with_vars(env(value)).build().unwrap().is_enabled(), "{value}");
    }
    let alone = || vars([("DO_NOT_TRACK", "1")]);
    for (builder, is_enabled) in [
        (new().with_vars(alone()), false),
        (new().with_vars(env("1")).with_vars(vars([])), false),
        (new().server_url(URL).instance_id(INSTANCE).with_vars(env("1")), false),
        (new().with_vars(env("1")).default_server_url(URL), false),
        (new().with_vars(env("1")).enabled(true), true),
        (new().enabled(true).with_vars(env("1")), true),
        (new().enabled(false).with_vars(env("1")), false),
        (builder().with_vars(alone()), true),
        (builder().with_vars(env("1")), true),
        (
            new().default_server_url(URL).api_key(KEY).instance_id(INSTANCE).with_vars(env("1")),
            true,
        ),
        (new().with_vars(env("1")).api_key(KEY).server_url(URL).instance_id(INSTANCE), true),
    ] {
        assert_eq!(builder.clone().build().unwrap().is_enabled(), is_enabled, "{builder:?}");
        assert_eq!(builder.build_if_set().unwrap().is_enabled(), is_enabled);
    }
    // Neither required nor checked, as with the switch.
    assert!(!new().api_key("wrong").with_vars(alone()).build().unwrap().is_enabled());
}

#[test]
fn invalid_configuration_can_disable_telemetry() {
    assert!(builder().build_or_disabled().is_enabled());
    assert!(!builder().batch_size(0).build_or_disabled().is_enabled());
}

#[test]
fn white_space_around_text_is_ignored() {
    let config = builder().api_key(format!(" {KEY}\n")).server_url(format!("{URL} \n"));
    assert_eq!(config.build().unwrap().server_url().unwrap().as_str(), URL);
}

#[test]
fn disabled_telemetry_requires_no_parameters() {
    let disabled = || TelemetryConfig::builder().enabled(false);
    for (config, id) in [
        (disabled().build().unwrap(), Uuid::nil().to_string()),
        (disabled().api_key("wrong").instance_id("42").build().unwrap(), Uuid::nil().to_string()),
        (disabled().instance_id(INSTANCE).build().unwrap(), INSTANCE.to_owned()),
        (TelemetryConfig::disabled(), Uuid::nil().to_string()),
    ] {
        assert!(!config.is_enabled());
        assert_eq!(config.instance_id().to_string(), id);
    }
}

#[test]
fn missing_parameters_are_listed_with_advice() {
    assert_eq!(
        issues(TelemetryConfig::builder()),
        [
            "server_url: required, but not set: set .server_url(…) or \
             MOSAIC_TELEMETRY_SERVER_URL, or disable telemetry",
            "api_key: required, but not set: set .api_key(…) or MOSAIC_TELEMETRY_API_KEY, or \
             disable telemetry",
            "instance_id: required, but not set: set .instance_id(…) or \
             MOSAIC_TELEMETRY_INSTANCE_ID, or disable telemetry",
        ]
    );
}

#[test]
fn parameters_outside_their_ranges_are_listed_in_order() {
    const NANOSECOND: Duration = Duration::from_nanos(1);
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let with = |interval, queue, batch, retries, duration| {
        builder()
            .submit_interval(interval)
            .max_queue_size(queue)
            .batch_size(batch)
            .request_timeout(interval)
            .prediction_cache_ttl(duration)
            .no_data_cache_ttl(duration)
            .retry_policy(RetryPolicy {
                max_retries: retries,
                initial_backoff: duration,
                max_backoff: duration,
                max_retry_after: duration,
            })
            .shutdown_timeout(duration)
    };
    for valid in
        [with(MIN_DURATION, 1, 1, 0, Duration::ZERO), with(YEAR, 16_777_216, 100, 100, YEAR)]
    {
        assert!(valid.build().is_ok());
    }
    assert_eq!(
        issues(with(MIN_DURATION - NANOSECOND, 0, 0, 0, Duration::ZERO)),
        [
            "submit_interval: expected 1ms to 365 days, found 999.999µs",
            "max_queue_size: expected 1 to 16777216, found 0",
            "batch_size: expected 1 to 100, found 0",
            "request_timeout: expected 1ms to 365 days, found 999.999µs",
        ]
    );
    assert_eq!(
        issues(with(YEAR + NANOSECOND, 16_777_217, 101, 101, YEAR + NANOSECOND)),
        [
            "submit_interval: expected 1ms to 365 days, found 31536000.000000001s",
            "max_queue_size: expected 1 to 16777216, found 16777217",
            "batch_size: expected 1 to 100, found 101",
            "request_timeout: expected 1ms to 365 days, found 31536000.000000001s",
            "prediction_cache_ttl: expected 0ns to 365 days, found 31536000.000000001s",
            "no_data_cache_ttl: expected 0ns to 365 days, found 31536000.000000001s",
            "max_retries: expected 0 to 100, found 101",
            "retry_policy.initial_backoff: expected 0ns to 365 days, found 31536000.000000001s",
            "retry_policy.max_backoff: expected 0ns to 365 days, found 31536000.000000001s",
            "retry_policy.max_retry_after: expected 0ns to 365 days, found 31536000.000000001s",
            "shutdown_timeout: expected 0ns to 365 days, found 31536000.000000001s",
        ]
    );
}

#[test]
fn invalid_texts_are_listed_without_the_secret() {
    let secret = "hunter2hunter2";
    let invalid = TelemetryConfig::builder()
        .server_url("ftp://example.com")
        .instance_id("42")
        .batch_size(0)
        .with_vars(vars([
            ("MOSAIC_TELEMETRY_SERVER_URL", URL),
            ("MOSAIC_TELEMETRY_API_KEY", secret),
        ]));
    assert_eq!(
        issues(invalid),
        [
            "server_url: invalid URL, expected for example https://tel-api.mosaicstack.dev: \
             unsupported scheme \"ftp\"",
            "api_key: expected 64 hexadecimal characters, found 14 characters (in \
             MOSAIC_TELEMETRY_API_KEY)",
            "instance_id: expected a UUID, for example a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d, \
             found 2 characters in another format",
            "batch_size: expected 1 to 100, found 0",
        ]
    );
    let misplaced = builder().server_url(secret).default_server_url(secret).instance_id(secret);
    let shown = format!("{misplaced:?}");
    assert!(!shown.contains(secret) && shown.contains("instance_id: set"), "{shown}");
}

#[cfg(any(feature = "hyper", feature = "ureq"))]
#[test]
fn unsupported_proxy_is_an_issue_without_its_url() {
    assert!(builder().proxy("http://user:secret@proxy:3128").build().is_ok());
    let builder = builder().proxy("socks5://user:secret@proxy");
    assert!(!format!("{builder:?}").contains("secret"));
    let issues = issues(builder);
    assert!(issues[0].starts_with("proxy: unsupported proxy: expected an "), "{issues:?}");
    assert!(!issues[0].contains("secret"), "{issues:?}");
}

#[test]
fn api_key_in_another_parameter_is_redacted() {
    for (key, url, expected) in [
        (KEY, format!("{URL}/{}", KEY.to_uppercase()), "expected a URL without the API key"),
        (
            "correct-horse-battery",
            "http://Correct-Horse-Battery.example.com".to_owned(),
            "found http for ….example.com",
        ),
        // The shortest invalid key that is redacted, and one shorter.
        ("0123456789-xyz-w", "http://0123456789-xyz-w.com".to_owned(), "found http for ….com"),
        ("123456789-xyz-w", "http://123456789-xyz-w.com".to_owned(), "123456789-xyz-w.com"),
    ] {
        let error = builder().api_key(key).server_url(url).build().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(key.len() < MIN_SECRET_LEN || !error.to_lowercase().contains(key), "{error}");
    }
}

#[test]
fn switch_accepts_four_words_each_in_any_case() {
    for (words, expected) in [
        (["true", "1", "yes", "on", "Yes", "TRUE"], true),
        (["false", "0", "no", "off", "Off", "FALSE"], false),
    ] {
        for word in words {
            assert_eq!(parse_switch(word), Ok(expected), "{word}");
        }
    }
    for (word, found) in
        [("maybe", "\"maybe\""), ("12345678", "\"12345678\""), ("123456789", "other text")]
    {
        assert_eq!(
            issues(builder().with_vars(vars([("MOSAIC_TELEMETRY_ENABLED", word)]))),
            [format!(
                "enabled: expected true, 1, yes, on, false, 0, no or off, found {found} (in \
                 MOSAIC_TELEMETRY_ENABLED)"
            )]
        );
    }
}

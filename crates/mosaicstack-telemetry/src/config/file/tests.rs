//! Files, and what takes precedence over them.

use std::time::Duration;

use crate::{
    TelemetryConfig, TelemetryConfigBuilder,
    config::validate::tests::{INSTANCE, KEY, URL, issues, vars},
};

#[test]
fn file_sets_every_parameter() {
    let file = serde_json::json!({
        "server_url": "http://example.com", "api_key": KEY, "instance_id": INSTANCE,
        "enabled": "on", "submit_interval_seconds": 60, "request_timeout_seconds": 2.5,
        "prediction_cache_ttl_seconds": 0, "no_data_cache_ttl_seconds": 1,
        "shutdown_timeout_seconds": 0.25, "initial_backoff_seconds": 3, "max_backoff_seconds": 4,
        "max_retry_after_seconds": 5, "max_retries": 6, "max_queue_size": 7, "batch_size": 8,
        "dry_run": true, "early_flush": false, "interval_jitter": false, "allow_plain_http": true,
    });
    let config: TelemetryConfig = serde_json::from_value(file).unwrap();
    assert_eq!(config.server_url().unwrap().as_str(), "http://example.com");
    assert_eq!(config.instance_id().to_string(), INSTANCE);
    let durations = [
        (config.submit_interval, 60_000),
        (config.request_timeout, 2_500),
        (config.prediction_cache_ttl, 0),
        (config.no_data_cache_ttl, 1_000),
        (config.shutdown_timeout, 250),
        (config.retry_policy.initial_backoff, 3_000),
        (config.retry_policy.max_backoff, 4_000),
        (config.retry_policy.max_retry_after, 5_000),
    ];
    for (duration, milliseconds) in durations {
        assert_eq!(duration, Duration::from_millis(milliseconds));
    }
    let counts = (config.retry_policy.max_retries, config.max_queue_size, config.batch_size);
    assert_eq!(counts, (6, 7, 8));
    assert!(config.dry_run && !config.early_flush && !config.interval_jitter);
}

#[test]
fn all_issues_of_a_file_are_reported_at_once_and_repeat_no_text() {
    let file = format!(
        r#"{{"server_url": 7, "api_key": "{KEY}0", "enabled": null, "submit_interval_seconds": "{KEY}",
        "request_timeout_seconds": -1.5, "max_queue_size": 2.5, "max_retries": 4294967296,
        "batch_size": 101, "dry_run": [], "early_flush": {{"a": 1}}, "interval_jitter": 1,
        "timeout": 3, "max_backoff_seconds": 1e30, "max_retries": 1}}"#
    );
    let builder: TelemetryConfigBuilder = serde_json::from_str(&file).unwrap();
    let found = issues(builder.instance_id(INSTANCE));
    for (parameter, part) in [
        ("server_url", "expected text, found a number"),
        ("enabled", "expected true or false, found null"),
        ("submit_interval_seconds", "expected a number of seconds, 0 or above, found text"),
        ("request_timeout_seconds", "found -1.5"),
        ("max_queue_size", "expected an integer, 0 or above, found 2.5"),
        ("max_retries", "expected a smaller number, found 4294967296"),
        ("dry_run", "expected true or false, found a list"),
        ("early_flush", "found a map"),
        ("interval_jitter", "found 1"),
        ("timeout", "not a parameter"),
        ("max_backoff_seconds", "found 1000000000000000000000000000000"),
        ("max_retries", "set more than once"),
        ("server_url", "required"),
        ("api_key", "64"),
        ("batch_size", "found 101"),
    ] {
        let is_issue = |it: &String| it.starts_with(&format!("{parameter}: ")) && it.contains(part);
        assert!(found.iter().any(is_issue), "{parameter}: {part}: {found:#?}");
    }
    assert_eq!(found.len(), 15, "{found:#?}");
    assert!(!found.concat().contains(KEY), "{found:#?}");
    let error = serde_json::from_str::<TelemetryConfig>(&file).unwrap_err().to_string();
    assert!(error.contains("dry_run") && error.contains("batch_size"), "{error}");
}

#[test]
fn environment_and_code_take_precedence_over_a_file_and_this_over_the_default() {
    let file = || -> TelemetryConfigBuilder {
        let file = serde_json::json!({"server_url": URL, "api_key": KEY, "instance_id": INSTANCE});
        serde_json::from_value(file).unwrap()
    };
    let url = |builder: TelemetryConfigBuilder| {
        builder.build().unwrap().server_url().unwrap().as_str().to_owned()
    };
    let env = vars([("MOSAIC_TELEMETRY_SERVER_URL", "https://env.example")]);
    let file_over_default = file().default_server_url("https://default.example");
    assert_eq!(url(file_over_default.clone()), URL);
    assert_eq!(url(file_over_default.clone().with_vars(&env)), "https://env.example");
    let code = file_over_default.with_vars(&env).server_url("https://code.example");
    assert_eq!(url(code), "https://code.example");
    // A file decides like code.
    let env = vars([("DO_NOT_TRACK", "1")]);
    assert!(file().with_vars(env).build().unwrap().is_enabled());
}

#[test]
fn variables_with_another_prefix_are_read_and_named_in_errors() {
    let env = vars([
        ("MY_AGENT_SERVER_URL", "ftp://example.com"),
        ("MY_AGENT_INSTANCE_ID", INSTANCE),
        ("MOSAIC_TELEMETRY_API_KEY", KEY),
    ]);
    let prefixed = |prefix| TelemetryConfig::builder().env_prefix(prefix);
    assert_eq!(issues(prefixed("MY_AGENT").with_vars(&env)).len(), 2, "with or without `_`");
    let found = issues(prefixed("MY_AGENT_").with_vars(env));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("(in MY_AGENT_SERVER_URL)"), "{}", found[0]);
    assert!(found[1].contains("MY_AGENT_API_KEY"), "{}", found[1]);
    let unset = prefixed("MY_AGENT_").with_vars(|_| None);
    assert!(!unset.build_if_set().unwrap().is_enabled());
}

//! The way to a configuration.

use std::{fmt, time::Duration};

use telemetry_model::EventBatch;
use telemetry_queue::EvictingQueue;
use uuid::Uuid;

use super::{
    Server, TelemetryConfig,
    parse::{Parser, Text, switch},
};
use crate::{
    credentials::{ApiKey, ServerUrl},
    error::ConfigError,
    notification::{Callback, Notification},
    retry::RetryPolicy,
};

const SERVER_URL: &str = "MOSAIC_TELEMETRY_SERVER_URL";
const API_KEY: &str = "MOSAIC_TELEMETRY_API_KEY";
const INSTANCE_ID: &str = "MOSAIC_TELEMETRY_INSTANCE_ID";
const ENABLED: &str = "MOSAIC_TELEMETRY_ENABLED";

/// In bytes: what is shorter may be in a URL by chance.
const SHORTEST_SECRET: usize = 16;

/// Shorter ones keep a processor busy for nothing.
const SHORTEST: Duration = Duration::from_millis(1);

/// Collects the parameters of a [`TelemetryConfig`], which documents them.
///
/// White space around a text does not count. `Debug` shows no text that was set, since any could be
/// the API key in the wrong place.
#[derive(Clone)]
#[must_use = "a builder makes a configuration when `build` is called"]
pub struct TelemetryConfigBuilder {
    server_url: Option<Text>,
    default_server_url: Option<Text>,
    api_key: Option<Text>,
    instance_id: Option<Text>,
    enabled: Option<Text>,
    allow_plain_http: bool,
    rest: TelemetryConfig,
}

impl Default for TelemetryConfigBuilder {
    fn default() -> Self {
        Self {
            server_url: None,
            default_server_url: None,
            api_key: None,
            instance_id: None,
            enabled: None,
            allow_plain_http: false,
            rest: TelemetryConfig::disabled(),
        }
    }
}

impl TelemetryConfigBuilder {
    /// The base URL of the server's API.
    pub fn server_url(mut self, url: impl Into<String>) -> Self {
        self.server_url = in_code(url);
        self
    }

    /// The base URL if neither code nor environment names one.
    pub fn default_server_url(mut self, url: impl Into<String>) -> Self {
        self.default_server_url = in_code(url);
        self
    }

    /// The API key: 64 hexadecimal characters.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = in_code(key);
        self
    }

    /// The UUID of this installation, as text or as a [`Uuid`].
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id = in_code(id);
        self
    }

    /// Whether anything is reported. If not, the three above need not be set, nor be right.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = in_code(enabled.to_string());
        self
    }

    /// How often queued events are sent, at least; 1 ms or more. See
    /// [`interval_jitter`](Self::interval_jitter).
    #[doc(alias = "submit_interval_seconds")]
    pub fn submit_interval(mut self, interval: Duration) -> Self {
        self.rest.submit_interval = interval;
        self
    }

    /// The most events that are queued; the oldest make room for newer ones. 1 to 2²⁴.
    pub fn max_queue_size(mut self, events: usize) -> Self {
        self.rest.max_queue_size = events;
        self
    }

    /// The most events in one request; 1 to 100.
    pub fn batch_size(mut self, events: usize) -> Self {
        self.rest.batch_size = events;
        self
    }

    /// How long one request may take; 1 ms or more.
    #[doc(alias = "request_timeout_seconds")]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.rest.request_timeout = timeout;
        self
    }

    /// How long a prediction is fresh; 0 turns the cache off.
    #[doc(alias = "prediction_cache_ttl_seconds")]
    pub fn prediction_cache_ttl(mut self, ttl: Duration) -> Self {
        self.rest.prediction_cache_ttl = ttl;
        self
    }

    /// How long it counts as fresh that the server has no data for a query; no longer than
    /// [`prediction_cache_ttl`](Self::prediction_cache_ttl) in any case.
    pub fn no_data_cache_ttl(mut self, ttl: Duration) -> Self {
        self.rest.no_data_cache_ttl = ttl;
        self
    }

    /// Sends nothing: batches are logged instead, and predictions are not asked for.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.rest.dry_run = dry_run;
        self
    }

    /// How often a failed request is tried again in one cycle; 0 to 100.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.rest.retry_policy.max_retries = retries;
        self
    }

    /// How often and how soon a failed request is tried again. Replaces
    /// [`max_retries`](Self::max_retries).
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.rest.retry_policy = policy;
        self
    }

    /// How long `stop` and dropping a client may take; 0 gives up what is queued.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.rest.shutdown_timeout = timeout;
        self
    }

    /// Whether a full batch is sent before the interval is over. The guide's client waits; with
    /// its defaults that loses events above 3.3 a second.
    pub fn early_flush(mut self, early_flush: bool) -> Self {
        self.rest.early_flush = early_flush;
        self
    }

    /// Whether the interval is shortened at random: the first time by any part of it, later by up to
    /// a tenth. Without it, clients that start together send together from then on, and each hits
    /// the server in the same second as all others.
    pub fn interval_jitter(mut self, jitter: bool) -> Self {
        self.rest.interval_jitter = jitter;
        self
    }

    /// Takes `http` for hosts other than loopback. The API key then travels in the open.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// Calls `callback` with delivery notifications; see [`Notification`]. Log messages stay as
    /// they are.
    ///
    /// The callback runs on the worker (the client's thread or tokio task), so it must not block:
    /// no event is sent while it runs. It may panic, and use the client: [`stop`] and [`flush`]
    /// return at once there. With a custom driver it runs on the driver's thread.
    ///
    /// ```
    /// use mosaicstack_telemetry::{Notification, TelemetryConfig};
    ///
    /// let builder = TelemetryConfig::builder().on_notification(|notification| match notification {
    ///     Notification::Rejected { event_id: Some(id), reason } => eprintln!("{id}: {reason}"),
    ///     Notification::Misconfigured { cause, .. } => eprintln!("misconfigured: {cause}"),
    ///     _ => {}
    /// });
    /// # let _ = builder;
    /// ```
    ///
    /// [`flush`]: crate::TelemetryClient::flush
    /// [`stop`]: crate::TelemetryClient::stop
    pub fn on_notification(
        mut self,
        callback: impl Fn(&Notification) + Send + Sync + 'static,
    ) -> Self {
        self.rest.on_notification = Some(Callback::new(callback));
        self
    }

    /// Fills what was not set from the environment. An empty variable is one that is not set.
    pub fn with_env(self) -> Self {
        self.with_vars(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into()))
    }

    /// As [`with_env`](Self::with_env), from somewhere else.
    ///
    /// ```
    /// use mosaicstack_telemetry::TelemetryConfig;
    ///
    /// let off = |name: &str| (name == "MOSAIC_TELEMETRY_ENABLED").then(|| "off".to_owned());
    /// assert!(!TelemetryConfig::builder().with_vars(off).build()?.is_enabled());
    /// # Ok::<(), mosaicstack_telemetry::ConfigError>(())
    /// ```
    pub fn with_vars(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        for (text, name) in [
            (&mut self.server_url, SERVER_URL),
            (&mut self.api_key, API_KEY),
            (&mut self.instance_id, INSTANCE_ID),
            (&mut self.enabled, ENABLED),
        ] {
            if text.is_none() {
                *text = variable(name)
                    .map(|value| Text { value: value.trim().into(), variable: Some(name) })
                    .filter(|text| !text.value.is_empty());
            }
        }
        self
    }

    /// As [`build`](Self::build), but faults turn telemetry off, with a warning: telemetry is never
    /// the reason that a program does not start.
    #[must_use]
    pub fn build_or_disabled(self) -> TelemetryConfig {
        self.build().unwrap_or_else(|error| {
            tracing::warn!(target: crate::LOG_TARGET, "telemetry is disabled: {error}");
            TelemetryConfig::disabled()
        })
    }

    /// Makes the configuration.
    ///
    /// # Errors
    ///
    /// Every fault at once, each with the way out. No message repeats the API key, nor a text that
    /// was given as the key and is none, if it has 16 bytes or more.
    pub fn build(self) -> Result<TelemetryConfig, ConfigError> {
        let Self { api_key, instance_id, enabled, allow_plain_http, rest, .. } = self;
        let server_url = self.server_url.or(self.default_server_url);
        let mut parser = Parser::default();
        let enabled = enabled.is_none_or(|text| {
            // A switch that cannot be read is a fault, and the rest is read as if it were on.
            parser.text("enabled", &text, switch).unwrap_or(true)
        });
        let mut config = rest;
        if enabled {
            // What was given as the key can be a secret, whether it is one or not.
            let secret = api_key.as_ref().map(|text| text.value.as_str());
            let secret = secret.filter(|it| it.len() >= SHORTEST_SECRET);
            let parse_url = |text: &str| ServerUrl::new(text, allow_plain_http, secret);
            let url = parser.required("server_url", SERVER_URL, server_url.as_ref(), parse_url);
            let key = parser.required("api_key", API_KEY, api_key.as_ref(), ApiKey::new);
            let id =
                parser.required("instance_id", INSTANCE_ID, instance_id.as_ref(), parse_instance);
            if let Some((url, key)) = url.as_ref().zip(key.as_ref())
                && key.is_in(url.as_str())
            {
                let message = "expected a URL without the API key, found one with it: it would be \
                               logged; it is sent in a header of its own";
                parser.fault("server_url", message.into());
            }
            config.server = url.zip(key).map(|(url, api_key)| Server { url, api_key });
            config.instance_id = id.unwrap_or_default();
        } else {
            let id = instance_id.and_then(|text| parse_instance(&text.value).ok());
            config.instance_id = id.unwrap_or_default();
        }
        parser.duration("submit_interval", config.submit_interval, SHORTEST);
        let places = EvictingQueue::<()>::MAX_CAPACITY;
        parser.within("max_queue_size", config.max_queue_size, 1..=places);
        parser.within("batch_size", config.batch_size, 1..=EventBatch::MAX_EVENTS);
        parser.duration("request_timeout", config.request_timeout, SHORTEST);
        parser.duration("prediction_cache_ttl", config.prediction_cache_ttl, Duration::ZERO);
        parser.duration("no_data_cache_ttl", config.no_data_cache_ttl, Duration::ZERO);
        parser.within("max_retries", config.retry_policy.max_retries, 0..=100);
        parser.duration(
            "retry_policy.initial_backoff",
            config.retry_policy.initial_backoff,
            Duration::ZERO,
        );
        parser.duration(
            "retry_policy.max_backoff",
            config.retry_policy.max_backoff,
            Duration::ZERO,
        );
        parser.duration(
            "retry_policy.max_retry_after",
            config.retry_policy.max_retry_after,
            Duration::ZERO,
        );
        parser.duration("shutdown_timeout", config.shutdown_timeout, Duration::ZERO);
        parser.finish().map(|()| config)
    }
}

impl fmt::Debug for TelemetryConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the texts: any of them can be a secret in the wrong place.
        f.debug_struct("TelemetryConfigBuilder")
            .field("has_server_url", &self.server_url.is_some())
            .field("has_api_key", &self.api_key.is_some())
            .field("has_instance_id", &self.instance_id.is_some())
            .field("has_enabled", &self.enabled.is_some())
            .field("allow_plain_http", &self.allow_plain_http)
            .field("rest", &self.rest)
            .finish()
    }
}

fn in_code(value: impl Into<String>) -> Option<Text> {
    Some(Text { value: value.into().trim().into(), variable: None })
}

fn parse_instance(text: &str) -> Result<Uuid, String> {
    Uuid::parse_str(text).map_err(|_| {
        let found = text.chars().count();
        format!(
            "expected a UUID such as a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d, found {found} characters \
             that are none"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";
    const INSTANCE: &str = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d";

    fn good() -> TelemetryConfigBuilder {
        TelemetryConfig::builder()
            .server_url("https://tel-api.mosaicstack.dev/")
            .api_key(KEY)
            .instance_id(INSTANCE)
    }

    fn variables<const N: usize>(
        set: [(&'static str, &'static str); N],
    ) -> impl Fn(&str) -> Option<String> {
        move |name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        }
    }

    fn faults(builder: TelemetryConfigBuilder) -> String {
        builder.build().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_the_guides() {
        let config = good().build().unwrap();
        assert!(config.is_enabled());
        assert_eq!(config.server_url().unwrap().as_str(), "https://tel-api.mosaicstack.dev");
        assert_eq!(config.instance_id().to_string(), INSTANCE);
        assert_eq!(config.submit_interval(), Duration::from_secs(300));
        assert_eq!(config.max_queue_size(), 1000);
        assert_eq!(config.batch_size(), 100);
        assert_eq!(config.request_timeout(), Duration::from_secs(10));
        assert_eq!(config.prediction_cache_ttl(), Duration::from_secs(21_600));
        assert!(!config.is_dry_run());
        assert_eq!(config.retry_policy().max_retries, 3);
    }

    #[test]
    fn the_environment_fills_what_code_did_not_set() {
        let env = variables([
            (SERVER_URL, "http://localhost:8000"),
            (API_KEY, KEY),
            (INSTANCE_ID, INSTANCE),
            (ENABLED, "TRUE"),
        ]);
        let config = TelemetryConfig::builder().with_vars(&env).build().unwrap();
        assert_eq!(config.server_url().unwrap().as_str(), "http://localhost:8000");
        let config = good().with_vars(&env).build().unwrap();
        assert_eq!(config.server_url().unwrap().as_str(), "https://tel-api.mosaicstack.dev");
        let config = TelemetryConfig::builder().enabled(false).with_vars(&env).build().unwrap();
        assert!(!config.is_enabled());
        let config = good().with_vars(variables([(ENABLED, "off")])).build().unwrap();
        assert!(!config.is_enabled());
        let config = good().with_vars(variables([(ENABLED, "")])).build().unwrap();
        assert!(config.is_enabled());
    }

    #[test]
    fn the_default_url_comes_after_code_and_environment() {
        let default = "https://default.example.com";
        let without = TelemetryConfig::builder().api_key(KEY).instance_id(INSTANCE);
        let url = |builder: TelemetryConfigBuilder| {
            let config = builder.default_server_url(default).build().unwrap();
            config.server_url().unwrap().to_string()
        };
        assert_eq!(url(without.clone()), default);
        let env = variables([(SERVER_URL, "http://localhost:8000")]);
        assert_eq!(url(without.with_vars(env)), "http://localhost:8000");
        assert_eq!(url(good()), "https://tel-api.mosaicstack.dev");
    }

    #[test]
    fn a_faulty_configuration_can_turn_telemetry_off() {
        assert!(good().build_or_disabled().is_enabled());
        assert!(!good().batch_size(0).build_or_disabled().is_enabled());
    }

    #[test]
    fn white_space_around_a_text_does_not_count() {
        let config = good().api_key(format!(" {KEY}\n")).server_url("https://example.com \n");
        assert_eq!(config.build().unwrap().server_url().unwrap().as_str(), "https://example.com");
    }

    #[test]
    fn disabled_telemetry_needs_nothing() {
        for config in [
            TelemetryConfig::builder().enabled(false).build().unwrap(),
            TelemetryConfig::builder().enabled(false).api_key("wrong").build().unwrap(),
            TelemetryConfig::disabled(),
        ] {
            assert!(!config.is_enabled());
            assert_eq!(config.instance_id(), Uuid::nil());
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_out() {
        assert_eq!(
            faults(TelemetryConfig::builder()),
            "the telemetry configuration cannot be used:\n  \
             server_url: required, but not set: set .server_url(…) or \
             MOSAIC_TELEMETRY_SERVER_URL, or disable telemetry\n  \
             api_key: required, but not set: set .api_key(…) or MOSAIC_TELEMETRY_API_KEY, or \
             disable telemetry\n  \
             instance_id: required, but not set: set .instance_id(…) or \
             MOSAIC_TELEMETRY_INSTANCE_ID, or disable telemetry"
        );
    }

    #[test]
    fn all_faults_are_named_at_once_and_the_key_is_not_repeated() {
        let secret = "hunter2hunter2";
        let builder = TelemetryConfig::builder()
            .server_url("http://example.com")
            .instance_id("42")
            .submit_interval(Duration::ZERO)
            .max_queue_size(0)
            .batch_size(101)
            .request_timeout(Duration::MAX)
            .max_retries(101)
            .with_vars(|name| (name == API_KEY).then(|| secret.to_owned()));
        let shown = format!("{:?}", builder.clone().instance_id(secret));
        assert!(!shown.contains(secret), "{shown}");
        let error = builder.build().unwrap_err();
        let parameters: Vec<&str> = error.issues().iter().map(|fault| fault.parameter).collect();
        assert_eq!(
            parameters,
            [
                "server_url",
                "api_key",
                "instance_id",
                "submit_interval",
                "max_queue_size",
                "batch_size",
                "request_timeout",
                "max_retries"
            ]
        );
        let text = format!("{error} {error:?}");
        assert!(!text.contains(secret), "{text}");
        assert!(text.contains("found 14 characters (in MOSAIC_TELEMETRY_API_KEY)"), "{text}");
        assert!(text.contains("batch_size: expected 1 to 100, found 101"), "{text}");
    }

    #[test]
    fn what_was_given_for_a_key_is_not_repeated_from_elsewhere() {
        let secret = "correct-horse-battery";
        let builder = good().api_key(secret).server_url("http://Correct-Horse-Battery.example.com");
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains("….example.com"), "{error}");
        assert!(!error.to_lowercase().contains(secret), "{error}");
    }

    #[test]
    fn the_switch_says_what_it_accepts() {
        for on in ["true", "1", "yes", "on", "Yes", " TRUE "] {
            assert_eq!(switch(on), Ok(true), "{on}");
        }
        for off in ["false", "0", "no", "off", "FALSE"] {
            assert_eq!(switch(off), Ok(false), "{off}");
        }
        assert_eq!(
            faults(good().with_vars(variables([(ENABLED, "maybe")]))),
            "the telemetry configuration cannot be used:\n  \
             enabled: expected true, 1, yes or on, or false, 0, no or off, found \"maybe\" \
             (in MOSAIC_TELEMETRY_ENABLED)"
        );
    }
}

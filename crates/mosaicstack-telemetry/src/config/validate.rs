//! Parsing and validation of a configuration.

use std::time::Duration;

use telemetry_model::EventBatch;
use telemetry_queue::EvictingQueue;
use tracing::debug;
use uuid::Uuid;

#[cfg(feature = "spool")]
use super::spool::Spool;
use super::{
    Server, TelemetryConfig, TelemetryConfigBuilder,
    setting::{Issues, Setting},
};
use crate::{
    LOG_TARGET,
    credentials::{ApiKey, ServerUrl},
    error::ConfigError,
    panics,
};

/// Minimum length in bytes of an invalid API key that messages must not repeat. Shorter text may occur
/// in a URL by chance.
const MIN_SECRET_LEN: usize = 16;

/// Minimum of intervals and timeouts: shorter ones would keep a processor busy.
const MIN_DURATION: Duration = Duration::from_millis(1);

impl TelemetryConfigBuilder {
    /// Like [`build`](Self::build), but logs a warning and disables telemetry if the configuration is
    /// invalid. A program then starts without telemetry.
    #[must_use]
    pub fn build_or_disabled(self) -> TelemetryConfig {
        self.build().unwrap_or_else(|error| {
            let _ = panics::catch(|| {
                tracing::warn!(target: LOG_TARGET, "telemetry is disabled: {error}");
            });
            TelemetryConfig::disabled()
        })
    }

    /// Like [`build`](Self::build), but disables telemetry if the environment that
    /// [`with_env`](Self::with_env) reads sets none of the `MOSAIC_TELEMETRY_*` variables, and logs
    /// that at `DEBUG`. For programs whose users may leave telemetry out.
    ///
    /// A variable counts as set also if code overrides its value, and not if it is empty. Without
    /// variables, telemetry is still on if code calls [`enabled(true)`](Self::enabled), or sets server
    /// URL (if only as the default), API key and instance id.
    ///
    /// # Errors
    ///
    /// See [`build`](Self::build). If the environment sets only some of what is required, the rest
    /// is listed.
    pub fn build_if_set(self) -> Result<TelemetryConfig, ConfigError> {
        if self.all().iter().any(|it| it.is_in_env()) || self.is_on_by_code() {
            return self.build();
        }
        log_off(&format!("the environment sets no {}* variable", self.prefix));
        self.enabled(false).build()
    }

    /// Validates all parameters and builds the configuration.
    ///
    /// # Errors
    ///
    /// Lists all issues, each with the expected value and where to set it. No message repeats the API
    /// key, or an invalid key of 16 bytes or more.
    pub fn build(self) -> Result<TelemetryConfig, ConfigError> {
        let mut issues = self.issues.clone();
        let mut config = self.config.clone();
        let is_refused = self.do_not_track && !self.is_on_by_code();
        if is_refused {
            log_off("the environment sets DO_NOT_TRACK");
        }
        // If the switch is invalid, check the other parameters too: all issues are reported at once.
        if !is_refused && issues.optional(&self.enabled, parse_switch).unwrap_or(true) {
            config.server = self.server(&mut issues);
            let instance_id = issues.required(&self.instance_id, parse_instance_id);
            config.instance_id = instance_id.unwrap_or_default();
        } else {
            let instance_id = self.instance_id.text().and_then(|id| Uuid::parse_str(id).ok());
            config.instance_id = instance_id.unwrap_or_default();
        }
        let retry = config.retry_policy;
        issues.check_duration("submit_interval", config.submit_interval, MIN_DURATION);
        let max_queue_size = EvictingQueue::<()>::MAX_CAPACITY;
        issues.check_range("max_queue_size", config.max_queue_size, 1..=max_queue_size);
        issues.check_range("batch_size", config.batch_size, 1..=EventBatch::MAX_EVENTS);
        issues.check_duration("request_timeout", config.request_timeout, MIN_DURATION);
        issues.check_duration("prediction_cache_ttl", config.prediction_cache_ttl, Duration::ZERO);
        issues.check_duration("no_data_cache_ttl", config.no_data_cache_ttl, Duration::ZERO);
        issues.check_range("max_retries", retry.max_retries, 0..=100);
        for (parameter, value) in [
            ("retry_policy.initial_backoff", retry.initial_backoff),
            ("retry_policy.max_backoff", retry.max_backoff),
            ("retry_policy.max_retry_after", retry.max_retry_after),
            ("shutdown_timeout", config.shutdown_timeout),
        ] {
            issues.check_duration(parameter, value, Duration::ZERO);
        }
        #[cfg(any(feature = "hyper", feature = "ureq"))]
        {
            config.proxy = issues.optional(&self.proxy, |url| {
                telemetry_transport::Proxy::new(url).map_err(|error| error.to_string())
            });
        }
        #[cfg(feature = "spool")]
        {
            let from_text = issues.optional(&self.spool_dir, |dir| Spool::in_dir(dir).checked());
            let from_code = config.spool.take().map(Spool::checked);
            config.spool = match from_code {
                Some(Err(issue)) => {
                    issues.push("spool", &issue);
                    None
                }
                from_code => from_code.and_then(Result::ok).or(from_text),
            };
        }
        issues.into_result().map(|()| config)
    }

    const fn all(&self) -> [&Setting; 4] {
        [&self.server_url, &self.api_key, &self.instance_id, &self.enabled]
    }

    /// True if code decides whether telemetry is on.
    fn is_on_by_code(&self) -> bool {
        let [required @ .., enabled] = self.all();
        enabled.is_in_code() || required.iter().all(|it| it.is_in_code())
    }

    fn server(&self, issues: &mut Issues) -> Option<Server> {
        // An invalid key can be a secret, too.
        let secret = self.api_key.text().filter(|key| key.len() >= MIN_SECRET_LEN);
        let url = issues
            .required(&self.server_url, |url| ServerUrl::new(url, self.allow_plain_http, secret));
        let api_key = issues.required(&self.api_key, ApiKey::new);
        let server = Server { url: url?, api_key: api_key? };
        if server.api_key.is_in(server.url.as_str()) {
            let message = "expected a URL without the API key: URLs are logged, and the key is \
                           sent in a header";
            issues.push("server_url", message);
        }
        Some(server)
    }
}

fn log_off(reason: &str) {
    let _ = panics::catch(|| debug!(target: LOG_TARGET, "telemetry is off: {reason}"));
}

/// Parses a boolean, ignoring ASCII case.
fn parse_switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        word => {
            // Longer text may be a secret in the wrong place.
            let found = if word.len() <= 8 { format!("{word:?}") } else { "other text".into() };
            Err(format!("expected true, 1, yes, on, false, 0, no or off, found {found}"))
        }
    }
}

fn parse_instance_id(text: &str) -> Result<Uuid, String> {
    Uuid::parse_str(text).map_err(|_| {
        let found = text.chars().count();
        format!(
            "expected a UUID, for example a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d, found {found} \
             characters in another format"
        )
    })
}

#[cfg(test)]
pub(super) mod tests;

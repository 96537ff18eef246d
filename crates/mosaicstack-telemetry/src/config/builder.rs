//! Setters of the configuration.

use std::time::Duration;

use super::{
    TelemetryConfig,
    setting::{Issues, PREFIX, Setting},
};
use crate::{
    notification::{Callback, Notification},
    retry::RetryPolicy,
};

/// Builder of a [`TelemetryConfig`].
///
/// White space around text is ignored. Durations are at most 365 days. Ranges are checked by
/// [`build`](Self::build), not by the setters. `Debug` does not show text: any of it could be the API
/// key in the wrong place.
#[derive(Clone, Debug)]
#[must_use = "call `build` to get a configuration"]
pub struct TelemetryConfigBuilder {
    pub(super) server_url: Setting,
    pub(super) api_key: Setting,
    pub(super) instance_id: Setting,
    pub(super) enabled: Setting,
    /// Of the environment variables.
    pub(super) prefix: String,
    /// Found while reading a file.
    pub(super) issues: Issues,
    /// The environment asks all programs not to report.
    pub(super) do_not_track: bool,
    pub(super) allow_plain_http: bool,
    #[cfg(any(feature = "hyper", feature = "ureq"))]
    pub(super) proxy: Setting,
    #[cfg(feature = "spool")]
    pub(super) spool_dir: Setting,
    pub(super) config: TelemetryConfig,
}

impl Default for TelemetryConfigBuilder {
    fn default() -> Self {
        Self {
            server_url: Setting::new("server_url"),
            api_key: Setting::new("api_key"),
            instance_id: Setting::new("instance_id"),
            enabled: Setting::new("enabled"),
            prefix: PREFIX.into(),
            issues: Issues::default(),
            do_not_track: false,
            allow_plain_http: false,
            #[cfg(any(feature = "hyper", feature = "ureq"))]
            // Its variable is never read: the transport reads the usual ones.
            proxy: Setting::new("proxy"),
            #[cfg(feature = "spool")]
            spool_dir: Setting::new("spool_dir"),
            config: TelemetryConfig::disabled(),
        }
    }
}

impl TelemetryConfigBuilder {
    /// Base URL of the server's API, for example `https://tel-api.mosaicstack.dev`; at most 2,048
    /// bytes.
    pub fn server_url(mut self, url: impl Into<String>) -> Self {
        self.server_url.set(url);
        self
    }

    /// Base URL if neither [`server_url`](Self::server_url) nor the environment or a file sets one; none
    /// by default. Not in the Python SDK.
    pub fn default_server_url(mut self, url: impl Into<String>) -> Self {
        self.server_url.set_default(url);
        self
    }

    /// API key: 64 hexadecimal characters.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key.set(key);
        self
    }

    /// UUID of this installation, as text or as [`Uuid`](uuid::Uuid).
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id.set(id);
        self
    }

    /// Turns telemetry on or off; on by default. If it is off, server URL, API key and instance id are
    /// neither required nor checked.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled.set(enabled.to_string());
        self
    }

    /// Interval between submissions, at least 1 ms; 5 minutes by default. See
    /// [`interval_jitter`](Self::interval_jitter).
    #[doc(alias = "submit_interval_seconds")]
    pub fn submit_interval(mut self, interval: Duration) -> Self {
        self.config.submit_interval = interval;
        self
    }

    /// Maximum number of queued events, 1 to 2²⁴; 1,000 by default. When the queue is full, new events
    /// evict the oldest.
    pub fn max_queue_size(mut self, events: usize) -> Self {
        self.config.max_queue_size = events;
        self
    }

    /// Maximum number of events in one request, 1 to 100; 100 by default, the server's maximum.
    pub fn batch_size(mut self, events: usize) -> Self {
        self.config.batch_size = events;
        self
    }

    /// Timeout of one request, at least 1 ms; 10 s by default.
    #[doc(alias = "request_timeout_seconds")]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.config.request_timeout = timeout;
        self
    }

    /// Time for which a cached prediction is fresh; 6 hours by default, 0 turns the cache off.
    #[doc(alias = "prediction_cache_ttl_seconds")]
    pub fn prediction_cache_ttl(mut self, ttl: Duration) -> Self {
        self.config.prediction_cache_ttl = ttl;
        self
    }

    /// Time for which a cached "no data" response is fresh, limited by
    /// [`prediction_cache_ttl`](Self::prediction_cache_ttl); 10 minutes by default. Not in the Python
    /// SDK.
    pub fn no_data_cache_ttl(mut self, ttl: Duration) -> Self {
        self.config.no_data_cache_ttl = ttl;
        self
    }

    /// Logs batches instead of sending them, and requests no predictions; off by default.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.config.dry_run = dry_run;
        self
    }

    /// Maximum number of retries of a failed request in one flush cycle, 0 to 100; 3 by default. Sets
    /// [`RetryPolicy::max_retries`].
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.config.retry_policy.max_retries = retries;
        self
    }

    /// Number of retries and delays between them; see [`RetryPolicy`] for the defaults. Replaces
    /// [`max_retries`](Self::max_retries). Not in the Python SDK.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.config.retry_policy = policy;
        self
    }

    /// Maximum duration of `stop` and of dropping a client; 5 s by default. With 0, queued events are
    /// not sent. Not in the Python SDK.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.config.shutdown_timeout = timeout;
        self
    }

    /// Sends a full batch before the interval ends; on by default. The Python SDK waits: with its
    /// defaults, it loses events above 3.3 per second.
    pub fn early_flush(mut self, early_flush: bool) -> Self {
        self.config.early_flush = early_flush;
        self
    }

    /// Shortens each interval at random: the first by any part of it, later ones by up to a tenth. On
    /// by default: clients that start together would otherwise send together from then on. Not in the
    /// Python SDK.
    pub fn interval_jitter(mut self, jitter: bool) -> Self {
        self.config.interval_jitter = jitter;
        self
    }

    /// Allows `http` for hosts other than loopback, where it is always allowed; off by default. The API
    /// key is then sent unencrypted. Not in the Python SDK.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// Preset for command-line tools, scripts and other programs that a person waits for: they end
    /// within a second, also if the server cannot be reached.
    ///
    /// Sets [`shutdown_timeout`](Self::shutdown_timeout) to 800 ms;
    /// [`request_timeout`](Self::request_timeout), for which a tool waits for a prediction, to 3 s;
    /// and [`submit_interval`](Self::submit_interval) to 30 s, so that a tool that runs for minutes
    /// leaves little to its end. Later setters replace these values. Not in the Python SDK.
    pub fn short_lived(self) -> Self {
        self.shutdown_timeout(Duration::from_millis(800))
            .request_timeout(Duration::from_secs(3))
            .submit_interval(Duration::from_secs(30))
    }

    /// URL of a proxy that `start` uses for every server except loopback, for example
    /// `http://user:password@proxy.example.com:3128`; by default, and with a custom transport, those
    /// of the [environment](crate::transport::Proxy). Not in the Python SDK.
    #[cfg(any(feature = "hyper", feature = "ureq"))]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy.set(url);
        self
    }

    /// Keeps events in files until they are delivered; see [`spool`](crate::spool) for what that costs and protects.
    /// Replaces the folder that the environment or a file sets. Not in the Python SDK.
    #[cfg(feature = "spool")]
    pub fn spool(mut self, spool: super::spool::Spool) -> Self {
        self.config.spool = Some(spool);
        self
    }

    /// Calls `callback` with each [`Notification`] about the delivery of events, in addition to
    /// logging; none by default. Not in the Python SDK.
    ///
    /// The callback runs on the worker (the client's thread or tokio task, or the thread of a custom
    /// driver) and must not block: no event is sent meanwhile. It may use the client, whose `flush`
    /// and `stop` return at once there. It may panic; panics are counted in
    /// [`Stats::panics`](crate::Stats::panics).
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
    pub fn on_notification(
        mut self,
        callback: impl Fn(&Notification) + Send + Sync + 'static,
    ) -> Self {
        self.config.on_notification = Some(Callback::new(callback));
        self
    }

    /// Prefix of the environment variables that [`with_env`](Self::with_env) and
    /// [`with_vars`](Self::with_vars) read after this call, with or without the last `_`;
    /// `MOSAIC_TELEMETRY_` by default. Errors name the variables with it. Not in the Python SDK.
    ///
    /// ```
    /// use mosaicstack_telemetry::TelemetryConfig;
    ///
    /// // Reads `MY_AGENT_TELEMETRY_API_KEY` and so on.
    /// let builder = TelemetryConfig::builder().env_prefix("MY_AGENT_TELEMETRY_").with_env();
    /// # assert!(builder.build().unwrap_err().to_string().contains("MY_AGENT_TELEMETRY_API_KEY"));
    /// ```
    pub fn env_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        if !self.prefix.is_empty() && !self.prefix.ends_with('_') {
            self.prefix.push('_');
        }
        let prefix = self.prefix.clone();
        self.variables().for_each(|it| it.set_prefix(&prefix));
        self
    }

    /// The parameters that the environment can set.
    fn variables(&mut self) -> impl Iterator<Item = &mut Setting> {
        let all =
            [&mut self.server_url, &mut self.api_key, &mut self.instance_id, &mut self.enabled];
        let all = all.into_iter();
        #[cfg(feature = "spool")]
        let all = all.chain([&mut self.spool_dir]);
        all
    }

    /// Reads parameters that are not set from the environment. Empty variables are ignored.
    ///
    /// Also reads [`DO_NOT_TRACK`](TelemetryConfig#do_not_track).
    pub fn with_env(self) -> Self {
        self.with_vars(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into()))
    }

    /// Like [`with_env`](Self::with_env), with `variable` in place of the process environment. To rename
    /// the variables, use [`env_prefix`](Self::env_prefix), so that errors name the new ones.
    ///
    /// ```
    /// use mosaicstack_telemetry::TelemetryConfig;
    ///
    /// let off = |name: &str| (name == "MOSAIC_TELEMETRY_ENABLED").then(|| "off".to_owned());
    /// assert!(!TelemetryConfig::builder().with_vars(off).build()?.is_enabled());
    /// # Ok::<(), mosaicstack_telemetry::ConfigError>(())
    /// ```
    pub fn with_vars(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        self.variables().for_each(|it| it.read(&variable));
        self.do_not_track |= variable("DO_NOT_TRACK").is_some_and(|value| is_set(&value));
        self
    }
}

/// True unless the value of `DO_NOT_TRACK` says no. Words that are not known count: a wish not to be
/// tracked may be written in any way.
fn is_set(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    !matches!(value.as_str(), "" | "0" | "false" | "no" | "off")
}

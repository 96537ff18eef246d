//! Client configuration.

mod builder;
mod file;
mod setting;
#[cfg(feature = "spool")]
pub(crate) mod spool;
mod validate;

use std::time::Duration;

use telemetry_model::EventBatch;
use uuid::Uuid;

pub use self::builder::TelemetryConfigBuilder;
use crate::{
    credentials::{ApiKey, ServerUrl},
    error::ConfigError,
    notification::Callback,
    retry::RetryPolicy,
};

/// Client configuration, validated when it is built.
///
/// [`TelemetryConfigBuilder`] documents each parameter with its default and range. Parameter names,
/// environment variables and defaults are from the Python SDK's guide, except where a setter says
/// otherwise.
///
/// The server URL, the API key and the instance id are required, unless telemetry is disabled. They
/// can also be set by environment variables; values set in code take precedence:
///
/// | environment variable ([prefix](TelemetryConfigBuilder::env_prefix)) | parameter |
/// |---|---|
/// | `MOSAIC_TELEMETRY_SERVER_URL` | [`server_url`](TelemetryConfigBuilder::server_url) |
/// | `MOSAIC_TELEMETRY_API_KEY` | [`api_key`](TelemetryConfigBuilder::api_key) |
/// | `MOSAIC_TELEMETRY_INSTANCE_ID` | [`instance_id`](TelemetryConfigBuilder::instance_id) |
/// | `MOSAIC_TELEMETRY_ENABLED` | [`enabled`](TelemetryConfigBuilder::enabled) |
/// | `MOSAIC_TELEMETRY_SPOOL_DIR` (feature `spool`) | folder of [`spool::Spool::in_dir`](crate::spool) |
///
/// Or read them from a file: configuration and builder implement
/// [`Deserialize`](TelemetryConfigBuilder#impl-Deserialize<'de>-for-TelemetryConfigBuilder).
///
/// # `DO_NOT_TRACK`
///
/// With `DO_NOT_TRACK=1` in the environment, telemetry that only the environment turned on is off,
/// whatever `MOSAIC_TELEMETRY_ENABLED` says, and the other parameters are neither required nor
/// checked. It stays on if code calls [`enabled(true)`](TelemetryConfigBuilder::enabled), or sets
/// server URL (if only as the default), API key and instance id, also if the environment sets
/// variables for these; a file counts as code. An empty value, `0`, `false`, `no` and `off` (in any case)
/// do nothing; every other value counts.
///
/// # Example
///
/// `Debug` shows all parameters, with the API key redacted.
///
/// ```
/// use mosaicstack_telemetry::TelemetryConfig;
///
/// let config = TelemetryConfig::builder()
///     .server_url("https://tel-api.mosaicstack.dev")
///     .api_key("a".repeat(64))
///     .instance_id("a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d")
///     .with_env()
///     .build()?;
/// println!("telemetry is on: {}", config.is_enabled());
/// # Ok::<(), mosaicstack_telemetry::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// `None` if telemetry is disabled.
    pub(crate) server: Option<Server>,
    pub(crate) instance_id: Uuid,
    pub(crate) submit_interval: Duration,
    pub(crate) max_queue_size: usize,
    pub(crate) batch_size: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) prediction_cache_ttl: Duration,
    pub(crate) no_data_cache_ttl: Duration,
    pub(crate) dry_run: bool,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) early_flush: bool,
    pub(crate) on_notification: Option<Callback>,
    pub(crate) interval_jitter: bool,
    #[cfg(any(feature = "hyper", feature = "ureq"))]
    pub(crate) proxy: Option<telemetry_transport::Proxy>,
    #[cfg(feature = "spool")]
    pub(crate) spool: Option<spool::Spool>,
}

/// Address and credentials of a server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: ServerUrl,
    pub(crate) api_key: ApiKey,
}

impl TelemetryConfig {
    /// Returns a builder with all defaults.
    pub fn builder() -> TelemetryConfigBuilder {
        TelemetryConfigBuilder::default()
    }

    /// Builds a configuration from the environment variables, with defaults for the rest.
    ///
    /// # Errors
    ///
    /// See [`TelemetryConfigBuilder::build`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder().with_env().build()
    }

    /// Like [`from_env`](Self::from_env), but disables telemetry if none of the `MOSAIC_TELEMETRY_*`
    /// variables is set, and logs that at `DEBUG`.
    ///
    /// # Errors
    ///
    /// See [`TelemetryConfigBuilder::build`]. If only some of the required variables are set, the
    /// others are listed.
    pub fn from_env_if_set() -> Result<Self, ConfigError> {
        Self::builder().with_env().build_if_set()
    }

    /// Like [`from_env`](Self::from_env), but logs a warning and disables telemetry if the
    /// configuration is invalid.
    #[must_use]
    pub fn from_env_or_disabled() -> Self {
        Self::builder().with_env().build_or_disabled()
    }

    /// Disables telemetry: a client starts no thread and has no queue; tracked events are counted and
    /// dropped.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            server: None,
            instance_id: Uuid::nil(),
            submit_interval: Duration::from_secs(300),
            max_queue_size: 1_000,
            batch_size: EventBatch::MAX_EVENTS,
            request_timeout: Duration::from_secs(10),
            prediction_cache_ttl: Duration::from_secs(6 * 60 * 60),
            no_data_cache_ttl: Duration::from_secs(10 * 60),
            dry_run: false,
            retry_policy: RetryPolicy::default(),
            shutdown_timeout: Duration::from_secs(5),
            early_flush: true,
            on_notification: None,
            interval_jitter: true,
            #[cfg(any(feature = "hyper", feature = "ureq"))]
            proxy: None,
            #[cfg(feature = "spool")]
            spool: None,
        }
    }

    /// Returns `false` if tracked events are only counted and dropped.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.server.is_some()
    }

    /// Base URL of the server; `None` if telemetry is disabled.
    #[must_use]
    pub fn server_url(&self) -> Option<&ServerUrl> {
        self.server.as_ref().map(|server| &server.url)
    }

    /// UUID of this installation; nil if telemetry is disabled and no valid one was set.
    #[must_use]
    pub const fn instance_id(&self) -> Uuid {
        self.instance_id
    }

    /// Interval between submissions, before [jitter](TelemetryConfigBuilder::interval_jitter).
    #[must_use]
    pub const fn submit_interval(&self) -> Duration {
        self.submit_interval
    }

    /// Maximum number of queued events.
    #[must_use]
    pub const fn max_queue_size(&self) -> usize {
        self.max_queue_size
    }

    /// Maximum number of events per request.
    #[must_use]
    pub const fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Time limit of one request.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Time for which a prediction is fresh.
    #[must_use]
    pub const fn prediction_cache_ttl(&self) -> Duration {
        self.prediction_cache_ttl
    }

    /// Time for which an answer without a prediction is fresh.
    #[must_use]
    pub const fn no_data_cache_ttl(&self) -> Duration {
        self.no_data_cache_ttl
    }

    /// Returns `true` if batches are logged instead of sent.
    #[must_use]
    pub const fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Number of and delays between retries.
    #[must_use]
    pub const fn retry_policy(&self) -> RetryPolicy {
        self.retry_policy
    }

    /// The spool, if there is one.
    #[cfg(feature = "spool")]
    #[must_use]
    pub const fn spool(&self) -> Option<&spool::Spool> {
        self.spool.as_ref()
    }

    /// Returns `true` if a full batch is sent before the interval is over.
    #[must_use]
    pub const fn is_early_flush(&self) -> bool {
        self.early_flush
    }

    /// Returns `true` if the interval is shortened at random.
    #[must_use]
    pub const fn has_interval_jitter(&self) -> bool {
        self.interval_jitter
    }

    /// Maximum duration of `stop` and of dropping a client.
    #[must_use]
    pub const fn shutdown_timeout(&self) -> Duration {
        self.shutdown_timeout
    }

    /// The blocking transport of these settings.
    #[cfg(feature = "ureq")]
    pub(crate) fn ureq(&self) -> telemetry_transport::UreqTransport {
        let transport = telemetry_transport::UreqTransport::new();
        match self.proxy.clone() {
            Some(proxy) => transport.with_proxy(proxy),
            None => transport,
        }
    }

    /// The asynchronous transport of these settings.
    #[cfg(feature = "hyper")]
    pub(crate) fn hyper(&self) -> telemetry_transport::HyperTransport {
        let transport = telemetry_transport::HyperTransport::new();
        match self.proxy.clone() {
            Some(proxy) => transport.with_proxy(proxy),
            None => transport,
        }
    }
}

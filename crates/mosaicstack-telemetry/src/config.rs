//! The configuration: parsed once, right from then on.

mod builder;
mod parse;

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

/// How a client behaves and whom it talks to.
///
/// | parameter | default | environment variable |
/// |---|---|---|
/// | `server_url` | required | `MOSAIC_TELEMETRY_SERVER_URL` |
/// | `api_key` | required | `MOSAIC_TELEMETRY_API_KEY` |
/// | `instance_id` | required | `MOSAIC_TELEMETRY_INSTANCE_ID` |
/// | `enabled` | true | `MOSAIC_TELEMETRY_ENABLED` |
/// | `submit_interval` | 300 s | |
/// | `max_queue_size` | 1,000 events | |
/// | `batch_size` | 100 events, the server's maximum | |
/// | `request_timeout` | 10 s | |
/// | `prediction_cache_ttl` | 6 h | |
/// | `dry_run` | false: nothing is sent, batches are logged, predictions are not asked for | |
/// | `max_retries` | 3 | |
///
/// Those are the guide's. Beyond it:
///
/// | parameter | default | |
/// |---|---|---|
/// | `default_server_url` | none | the URL if neither code nor environment names one |
/// | `shutdown_timeout` | 5 s | how long `stop` and dropping a client may take |
/// | `no_data_cache_ttl` | 10 min | how long "no data" counts as a fresh answer |
/// | `early_flush` | true | a full batch does not wait for the interval |
/// | `interval_jitter` | true | the first wait is a random part of the interval, each later one up to a tenth shorter than it |
/// | `retry_policy` | see [`RetryPolicy`] | delays between attempts |
/// | `allow_plain_http` | false | `http` to hosts other than loopback |
/// | `on_notification` | none | a hook that is told what becomes of events |
///
/// What is set in code comes before the environment:
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
/// assert!(config.is_enabled() || std::env::var_os("MOSAIC_TELEMETRY_ENABLED").is_some());
/// # Ok::<(), mosaicstack_telemetry::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// None if telemetry is disabled.
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
}

/// Whom a client talks to.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: ServerUrl,
    pub(crate) api_key: ApiKey,
}

impl TelemetryConfig {
    /// Starts with the defaults.
    pub fn builder() -> TelemetryConfigBuilder {
        TelemetryConfigBuilder::default()
    }

    /// Takes everything that the environment can say from there, and the defaults for the rest.
    ///
    /// # Errors
    ///
    /// As [`TelemetryConfigBuilder::build`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder().with_env().build()
    }

    /// As [`from_env`](Self::from_env), but a faulty environment turns telemetry off, with a
    /// warning: telemetry is never the reason that a program does not start.
    #[must_use]
    pub fn from_env_or_disabled() -> Self {
        Self::builder().with_env().build_or_disabled()
    }

    /// Telemetry that is off: no thread, no queue; what is tracked is counted and dropped.
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
        }
    }

    /// Whether anything is reported at all.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.server.is_some()
    }

    /// The server's base URL; none if telemetry is disabled.
    #[must_use]
    pub fn server_url(&self) -> Option<&ServerUrl> {
        self.server.as_ref().map(|server| &server.url)
    }

    /// The installation that reports; nil if telemetry is disabled and none was given.
    #[must_use]
    pub const fn instance_id(&self) -> Uuid {
        self.instance_id
    }

    /// How often queued events are sent; see
    /// [`interval_jitter`](TelemetryConfigBuilder::interval_jitter).
    #[must_use]
    pub const fn submit_interval(&self) -> Duration {
        self.submit_interval
    }

    /// The most events that are queued.
    #[must_use]
    pub const fn max_queue_size(&self) -> usize {
        self.max_queue_size
    }

    /// The most events in one request.
    #[must_use]
    pub const fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// How long one request may take.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// How long a prediction is fresh.
    #[must_use]
    pub const fn prediction_cache_ttl(&self) -> Duration {
        self.prediction_cache_ttl
    }

    /// How long it counts as fresh that the server has no data for a query.
    #[must_use]
    pub const fn no_data_cache_ttl(&self) -> Duration {
        self.no_data_cache_ttl
    }

    /// Whether batches are logged instead of sent.
    #[must_use]
    pub const fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// How often and how soon failed requests are tried again.
    #[must_use]
    pub const fn retry_policy(&self) -> RetryPolicy {
        self.retry_policy
    }

    /// How long `stop` and dropping a client may take.
    #[must_use]
    pub const fn shutdown_timeout(&self) -> Duration {
        self.shutdown_timeout
    }

    /// Whether a full batch is sent before the interval is over.
    #[must_use]
    pub const fn is_early_flush(&self) -> bool {
        self.early_flush
    }

    /// Whether the interval is shortened at random.
    #[must_use]
    pub const fn has_interval_jitter(&self) -> bool {
        self.interval_jitter
    }
}

#![cfg_attr(feature = "ureq", doc = include_str!("../README.md"))]
// Its examples use what the default features give.
#![cfg_attr(
    not(feature = "ureq"),
    doc = "Reports AI-coding task completions to a Mosaic Stack Telemetry server, and asks it for predictions."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// A part of `nonblocking`, which cannot be built under loom: tokio takes its `cfg` for its own.
#[cfg(all(test, loom))]
#[path = "nonblocking/alarm_clock.rs"]
mod alarm_clock;
mod blocking;
mod clock;
mod config;
mod control;
mod credentials;
mod driver;
mod error;
mod handle;
#[cfg(all(test, loom))]
#[path = "../tests/interleavings/mod.rs"]
mod interleavings;
mod lifecycle;
#[cfg(feature = "tokio")]
mod nonblocking;
mod notices;
mod outbox;
mod panics;
mod predictions;
mod process;
mod protocol;
mod redact;
mod retry;
mod stats;
mod submitter;
mod sync;
mod task;
mod wait;

pub use telemetry_model::*;
#[cfg(feature = "hyper")]
pub use telemetry_transport::HyperTransport;
#[cfg(all(feature = "rustls", any(feature = "hyper", feature = "ureq")))]
pub use telemetry_transport::RootCertificateError;
#[cfg(feature = "ureq")]
pub use telemetry_transport::UreqTransport;
pub use telemetry_transport::{
    AsyncTransport, MAX_RESPONSE_BYTES, Request, Response, ResponseFuture, Timeout, Transport,
    TransportError,
};

#[cfg(feature = "tokio")]
pub use crate::nonblocking::{AsyncPredictor, AsyncTelemetryClient};
pub use crate::{
    blocking::{Predictor, TelemetryClient},
    config::{TelemetryConfig, TelemetryConfigBuilder},
    credentials::ServerUrl,
    error::{ConfigError, ConfigIssue, FlushError, PredictionError},
    handle::TelemetryHandle,
    notices::{Cause, Notice},
    predictions::{CachedPrediction, Inquiry, LookupAction, PredictionLookup},
    protocol::DeliveryOutcome,
    retry::RetryPolicy,
    stats::{Dropped, Health, Stats},
    submitter::{Action, Delivery, Start, Submitter},
    task::TaskGuard,
};

/// The crates whose types are part of this one's API. In a module, so that a glob import does not
/// hide one's own.
pub mod reexport {
    pub use telemetry_model::reexport::{time, uuid};
    pub use telemetry_transport::reexport::http;
}

/// The target of everything that is logged, through [`tracing`](https://docs.rs/tracing).
pub const LOG_TARGET: &str = "mosaicstack_telemetry";

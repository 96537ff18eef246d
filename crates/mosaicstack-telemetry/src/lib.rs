#![cfg_attr(feature = "ureq", doc = include_str!("../README.md"))]
// The README's examples need the default features.
#![cfg_attr(
    not(feature = "ureq"),
    doc = "Reports AI-coding task completions to a Mosaic Stack Telemetry server, and asks it for predictions."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "tokio")]
mod async_client;
mod client;
mod clock;
mod config;
mod credentials;
mod error;
mod event_buffer;
pub mod global;
mod handle;
#[cfg(all(test, loom))]
#[path = "../tests/interleavings/mod.rs"]
mod interleavings;
#[cfg(feature = "layer")]
mod layer;
mod notification;
mod panics;
mod predictions;
mod protocol;
#[cfg(test)]
mod recorder;
mod redact;
mod response;
mod retry;
#[cfg(feature = "spool")]
pub mod spool;
#[cfg(feature = "spool")]
mod spool_writer;
mod stats;
mod submitter;
mod sync;
mod worker;

pub use telemetry_model as model;
#[cfg(feature = "prices")]
pub use telemetry_model::prices;
pub use telemetry_model::time;
pub use telemetry_model::{
    Complexity, Confidence, ContextWindow, Cost, Estimate, EventBuilder, Harness, Outcome,
    PredictionData, PredictionQuery, PredictionResponse, Price, Provider, Quality, QualityGate,
    RepoSizeCategory, TaskCompletionEvent, TaskType, Tokens, Usage, model_vendor,
};
pub use telemetry_transport::bytes;
pub use {http, uuid};

#[cfg(feature = "layer")]
pub use crate::layer::{TelemetryLayer, TracedTask};
#[cfg(feature = "tokio")]
pub use crate::{async_client::AsyncTelemetryClient, predictions::AsyncPredictions};
pub use crate::{
    client::TelemetryClient,
    config::{TelemetryConfig, TelemetryConfigBuilder},
    credentials::ServerUrl,
    error::{ConfigError, ConfigIssue, FlushError, PredictionError},
    handle::{TaskGuard, TelemetryHandle},
    notification::{FailureCause, Notification},
    predictions::{CachedPrediction, Predictions},
    retry::RetryPolicy,
    stats::{Dropped, Health, Stats},
};

/// The names that most programs need: `use mosaicstack_telemetry::prelude::*`.
pub mod prelude {
    #[cfg(feature = "tokio")]
    pub use crate::AsyncTelemetryClient;
    pub use crate::{
        Complexity, ConfigError, ContextWindow, Cost, Harness, Outcome, PredictionQuery, Provider,
        Quality, QualityGate, RepoSizeCategory, TaskGuard, TaskType, TelemetryClient,
        TelemetryConfig, TelemetryHandle, Tokens, Usage,
    };
}

/// The core without threads, clocks or I/O, for authors of custom drivers.
///
/// [`Submitter`](sans_io::Submitter) schedules events, [`PredictionCache`](sans_io::PredictionCache)
/// predictions; both show a driver. Time is an argument of every call.
pub mod sans_io {
    #[cfg(feature = "spool")]
    pub use crate::spool_writer::SpoolWriter;
    pub use crate::{
        predictions::{LookupAction, PendingQuery, PredictionCache, PredictionLookup},
        protocol::DeliveryOutcome,
        submitter::{Action, Delivery, Start, Submitter},
    };
}

/// Transports, and the traits for custom ones: [`Transport`](transport::Transport) for
/// [`TelemetryClient`], [`AsyncTransport`](transport::AsyncTransport) for the client on tokio.
pub mod transport {
    #[cfg(feature = "hyper")]
    pub use telemetry_transport::HyperTransport;
    #[cfg(feature = "reqwest012")]
    pub use telemetry_transport::Reqwest012Transport;
    #[cfg(feature = "reqwest")]
    pub use telemetry_transport::ReqwestTransport;
    #[cfg(any(feature = "hyper", feature = "ureq"))]
    pub use telemetry_transport::RootCertificateError;
    #[cfg(feature = "ureq")]
    pub use telemetry_transport::UreqTransport;
    pub use telemetry_transport::{
        AsyncTransport, Idempotent, MAX_RESPONSE_BYTES, Request, Response, ResponseFuture, Timeout,
        Transport, TransportError, is_loopback,
    };
    #[cfg(any(feature = "hyper", feature = "ureq"))]
    pub use telemetry_transport::{Proxy, ProxyError};
}

/// The target of all log records, emitted through [`tracing`](https://docs.rs/tracing).
pub const LOG_TARGET: &str = "mosaicstack_telemetry";

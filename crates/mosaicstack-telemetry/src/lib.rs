#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
mod clock;
mod config;
mod control;
mod credentials;
mod error;
mod handle;
mod outbox;
mod predictions;
mod protocol;
mod retry;
mod stats;
mod submitter;

pub use telemetry_model::*;
#[cfg(feature = "ureq")]
pub use telemetry_transport::UreqTransport;
pub use telemetry_transport::{Request, Response, Timeout, Transport, TransportError, http};

pub use crate::{
    blocking::TelemetryClient,
    config::{TelemetryConfig, TelemetryConfigBuilder},
    credentials::{ApiKey, ServerUrl},
    error::{ConfigError, ConfigFault, FlushError, PredictionError},
    handle::TelemetryHandle,
    protocol::Verdict,
    retry::RetryPolicy,
    stats::{Dropped, Health, Stats},
    submitter::{Action, Delivery, Start, Submitter},
};

/// The target of everything that is logged, through [`tracing`](https://docs.rs/tracing).
pub const LOG_TARGET: &str = "mosaicstack_telemetry";

#![cfg_attr(feature = "tls", doc = include_str!("../README.md"))]
// It tells of what comes with the feature.
#![cfg_attr(
    not(feature = "tls"),
    doc = "The Mosaic Stack Telemetry API v1 on loopback, for development and tests."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod aggregate;
mod answer;
mod builder;
mod collector;
mod connection;
mod fault;
mod percentiles;
mod requests;
mod routes;
mod seen;
mod server;
mod shared;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use answer::Answer;
pub use builder::CollectorBuilder;
pub use collector::Collector;
pub use fault::Fault;
pub use requests::{Authorization, Received};
pub use routes::{EVENTS_PATH, PREDICTIONS_PATH};
#[cfg(feature = "tls")]
pub use seen::FailedHandshake;
pub use seen::{BatchSeen, FaultSeen, PredictionsSeen, Refusal, Totals};
#[cfg(feature = "tls")]
pub use tls::Certificate;
pub use wire::Place;

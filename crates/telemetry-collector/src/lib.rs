#![cfg_attr(all(feature = "keys", feature = "tls"), doc = include_str!("../README.md"))]
// The README links to items that depend on the features.
#![cfg_attr(
    not(all(feature = "keys", feature = "tls")),
    doc = "The Mosaic Stack Telemetry API v1, for development, tests and small teams."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod aggregate;
mod builder;
mod collector;
mod connection;
mod credential;
mod fault;
#[cfg(feature = "keys")]
mod key_access;
#[cfg(feature = "keys")]
mod keys;
#[cfg(feature = "keys")]
mod limiter;
#[cfg(feature = "keys")]
mod limits;
#[cfg(feature = "keys")]
mod network;
#[cfg(feature = "page")]
mod page;
mod percentiles;
mod raw_response;
mod reply;
mod reports;
mod requests;
mod response_template;
mod routes;
mod server;
mod shared;
mod storage;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use builder::CollectorBuilder;
pub use collector::Collector;
pub use fault::FaultRule;
#[cfg(feature = "keys")]
pub use keys::NewKey;
#[cfg(feature = "tls")]
pub use reports::FailedHandshake;
pub use reports::{BatchReport, InjectedFault, PredictionsReport, Refusal, Totals};
pub use requests::{Authorization, RecordedRequest};
pub use response_template::ResponseTemplate;
pub use routes::{EVENTS_PATH, PREDICTIONS_PATH};
pub use storage::StorageError;
#[cfg(feature = "tls")]
pub use tls::Certificate;
pub use wire::Position;

#![doc = include_str!("../README.md")]

mod aggregate;
mod answer;
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
mod wire;

pub use answer::Answer;
pub use collector::{Collector, CollectorBuilder};
pub use fault::Fault;
pub use requests::{Authorization, Received};
pub use routes::{EVENTS_PATH, PREDICTIONS_PATH};
pub use seen::{BatchSeen, FaultSeen, PredictionsSeen, Refusal, Totals};
pub use wire::Place;

#![doc = include_str!("../README.md")]

mod aggregate;
mod collector;
mod faults;
mod percentiles;
mod requests;
mod routes;
mod seen;
mod server;
mod shared;
mod store;

pub use collector::{Collector, CollectorBuilder};
pub use faults::Answer;
pub use requests::{Authorization, Received};
pub use seen::{BatchSeen, PredictionsSeen, Refusal, Totals};

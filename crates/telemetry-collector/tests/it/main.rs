//! The collector over real sockets.

mod client;
mod events;
mod faults;
mod lifecycle;
mod predictions;
#[cfg(all(feature = "cli", unix))]
mod program;
mod requests;
mod responses;
#[cfg(feature = "tls")]
mod tls;

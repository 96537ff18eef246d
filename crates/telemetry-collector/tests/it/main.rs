//! The collector over real sockets.

mod client;
mod events;
mod faults;
#[cfg(all(feature = "cli", feature = "sqlite", unix))]
mod killed;
mod lifecycle;
mod predictions;
#[cfg(all(feature = "cli", unix))]
mod program;
mod requests;
mod responses;
#[cfg(feature = "sqlite")]
mod store;
#[cfg(feature = "tls")]
mod tls;

//! The collector over real sockets.

mod client;
#[cfg(all(feature = "postgres", unix))]
mod cluster;
mod events;
mod faults;
#[cfg(feature = "keys")]
mod keys;
#[cfg(all(feature = "cli", feature = "_database", unix))]
mod killed;
mod lifecycle;
#[cfg(all(feature = "cli", feature = "keys", unix))]
mod network;
#[cfg(feature = "page")]
mod page;
mod predictions;
#[cfg(all(feature = "cli", unix))]
mod program;
mod requests;
mod responses;
#[cfg(all(feature = "postgres", unix))]
mod shared_store;
#[cfg(any(all(feature = "postgres", unix), feature = "sqlite"))]
mod store;
#[cfg(any(feature = "keys", feature = "tls"))]
mod temporary;
#[cfg(feature = "tls")]
mod tls;

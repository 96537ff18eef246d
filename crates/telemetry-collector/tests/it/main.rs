//! The collector over real sockets.

mod answers;
mod client;
mod events;
mod faults;
mod lifecycle;
mod predictions;
#[cfg(unix)]
mod program;
mod records;
#[cfg(feature = "tls")]
mod tls;
mod wire;

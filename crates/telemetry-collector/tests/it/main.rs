//! The collector over real sockets.

mod answers;
mod client;
mod events;
mod lifecycle;
mod predictions;
#[cfg(unix)]
mod program;

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
mod wire;

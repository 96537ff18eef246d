//! The crates together: one binary, a module for each subject.

mod blocking;
#[cfg(unix)]
mod fork;
mod guide;
mod hand_over;
mod lookups;
mod model;
mod nonblocking;
mod panics;
mod predictions;
mod schedule;
mod schema;
mod teardown;
mod wire;

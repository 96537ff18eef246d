//! The crates together: one binary, a module for each subject.

mod blocking;
mod books;
#[cfg(unix)]
mod fork;
mod fuzz;
mod guide;
mod hand_over;
mod lookups;
mod nonblocking;
mod predictions;
mod schedule;
mod schema;
mod teardown;
mod wire;

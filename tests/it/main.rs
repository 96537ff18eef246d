//! The crates together: one binary, a module for each subject.

mod blocking;
mod books;
mod child;
#[cfg(unix)]
mod fork;
mod guide;
mod hand_over;
mod lookups;
mod nonblocking;
mod notices;
mod predictions;
mod schedule;
mod schema;
mod soak;
mod teardown;
mod wire;

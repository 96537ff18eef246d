//! The crates together: one binary, a module for each subject.

mod blocking;
mod books;
mod child;
mod duplicates;
#[cfg(unix)]
mod fork;
mod guide;
mod hand_over;
mod hostile;
mod lookups;
mod nonblocking;
mod notices;
mod plateau;
mod predictions;
mod schedule;
mod schema;
mod soak;
mod teardown;
mod wire;

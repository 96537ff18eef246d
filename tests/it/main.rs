//! The crates together: one binary, a module for each subject.

mod blocking;
mod fuzz;
mod guide;
mod hand_over;
mod iterations;
mod lifecycle;
mod lookups;
mod model;
mod nonblocking;
mod notices;
mod outage;
mod panics;
mod predictions;
mod schedule;
mod schema;
mod security;
mod stress;
mod tables;
mod teardown;
mod wire;

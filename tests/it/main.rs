//! The crates together: one binary, a module for each subject.

mod blocking;
mod client;
mod clients;
mod duplicates;
mod fuzz;
mod guide;
mod hand_over;
mod hostile;
mod iterations;
mod lookups;
mod model;
mod nonblocking;
mod notifications;
mod outage;
mod panics;
mod plateau;
mod predictions;
mod schedule;
mod schema;
mod security;
mod soak;
mod stress;
mod support;
mod teardown;
mod weight;
mod wire;

//! `cargo xtask outage`: fleets of clients and a server that fails for an hour, simulated.

use crate::cargo::{Cargo, cargo};

/// The program that runs them and writes `docs/reliability.md`, with an option of its own or none.
pub(crate) fn command(option: &str) -> Cargo {
    let program = "run --release -p telemetry-tests --example outage";
    cargo(if option.is_empty() { program.into() } else { format!("{program} -- {option}") })
}

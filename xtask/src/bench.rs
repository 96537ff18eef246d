//! Runs the benchmarks of `tests/bench`.

use crate::command::{cargo, exec};

const OPTIONS: &str =
    "--release --locked --manifest-path tests/bench/Cargo.toml --target-dir target/bench";

/// Measures the sections, or all if none is named, and prints their tables.
///
/// # Errors
///
/// A section fails or does not exist.
pub(crate) fn run(sections: &[&str]) -> Result<(), String> {
    exec(cargo(format!("build {OPTIONS} --bins")))?;
    for program in ["mosaic-telemetry-cli", "telemetry-collector --features sqlite"] {
        exec(cargo(format!("build --release --locked -p {program} --target-dir target/bench")))?;
    }
    exec(cargo(format!("run --quiet {OPTIONS} --bin bench -- {}", sections.join(" "))))
}

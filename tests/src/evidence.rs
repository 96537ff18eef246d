//! How much a test tries, and what it says of it.

use std::{env, fmt};

/// Set by `cargo xtask evidence`.
const VARIABLE: &str = "TELEMETRY_EVIDENCE";

/// How many cases to try: `usual` in an ordinary run, `thorough` in `cargo xtask evidence`.
#[must_use]
pub fn scale<T>(usual: T, thorough: T) -> T {
    if is_wanted() { thorough } else { usual }
}

/// Says what has been tried for a claim of `docs/reliability.md`, such as `R3`; at the end of a
/// test, when it has passed. `cargo xtask evidence` makes its table of these lines.
#[expect(clippy::print_stdout, reason = "a test's output is where it is looked for")]
pub fn tried(claim: &str, what: fmt::Arguments<'_>) {
    if is_wanted() {
        println!("evidence {claim}: {what}");
    }
}

/// Repeats what another process has said so.
#[expect(clippy::print_stdout, reason = "a test's output is where it is looked for")]
pub fn repeat(output: &str) {
    for (_, said) in output.lines().filter_map(|line| line.split_once("evidence ")) {
        println!("evidence {said}");
    }
}

/// Whether `cargo xtask evidence` runs this: for what no ordinary run has time for.
#[must_use]
pub fn is_wanted() -> bool {
    env::var_os(VARIABLE).is_some()
}

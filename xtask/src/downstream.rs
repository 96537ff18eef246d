//! Checks the programs of `tests/downstream`, which use the crates from outside the workspace.

use std::{collections::BTreeSet, fs};

use crate::command::{cargo, exec, output};

const MANIFEST: &str = "--locked --manifest-path tests/downstream/Cargo.toml";

/// Programs with a list of dependencies.
const PROGRAMS: [&str; 5] = ["aborting", "facade", "own-transport", "reqwest-client", "validator"];

/// Builds, tests and runs the programs, each with the features that it selects itself, except `rig-agent` and
/// `tls-hosts`, which compile many more crates.
///
/// # Errors
///
/// A program fails, or its dependencies differ from its list.
pub(crate) fn check() -> Result<(), String> {
    let crates = "--workspace --exclude rig-agent --exclude tls-hosts --all-targets";
    run(&[
        &format!("clippy {crates}"),
        "test -p facade",
        "test -p validator",
        "run -p validator",
        "run -p own-transport",
        "run -p reqwest-client",
        "run -p aborting --profile aborting",
    ])?;
    check_lists()
}

/// Runs `tls-hosts` with each choice of a crypto provider. It compiles aws-lc-rs from C.
///
/// # Errors
///
/// A connection of the program or of the SDK fails.
pub(crate) fn check_tls_hosts() -> Result<(), String> {
    run(&[
        "clippy -p tls-hosts",
        // In this order, since the first two compile the same dependencies.
        "run -p tls-hosts",
        "run -p tls-hosts --features aws-lc-rs",
        "run -p tls-hosts --features ring",
    ])
}

/// Runs `rig-agent`. It compiles rig and reqwest.
///
/// # Errors
///
/// The program does not report its tasks.
pub(crate) fn check_rig_agent() -> Result<(), String> {
    run(&["clippy -p rig-agent", "run -p rig-agent"])
}

fn run(commands: &[&str]) -> Result<(), String> {
    for command in commands {
        let warnings = if command.starts_with("clippy") { "-- -D warnings" } else { "" };
        exec(cargo(format!("{command} {MANIFEST} --target-dir target {warnings}")))?;
    }
    Ok(())
}

/// # Errors
///
/// The dependencies of a program differ from its list, or cargo fails.
pub(crate) fn check_lists() -> Result<(), String> {
    let mut faults = String::new();
    for program in PROGRAMS {
        let found = dependencies(program)?;
        let listed = fs::read_to_string(list(program)).unwrap_or_default();
        for name in found.symmetric_difference(&listed.lines().map(str::to_owned).collect()) {
            let sign = if found.contains(name) { '+' } else { '-' };
            faults += &format!("\n  {program}: {sign} {name}");
        }
    }
    let advice = "`cargo xtask downstream --bless` updates the lists";
    if faults.is_empty() { Ok(()) } else { Err(format!("{advice}:{faults}")) }
}

/// Gives the programs the versions in the lock file of the workspace, and writes their lists.
///
/// # Errors
///
/// Cargo fails, or a file cannot be written.
pub(crate) fn bless() -> Result<(), String> {
    let failed = |error| format!("tests/downstream: {error}");
    fs::copy("Cargo.lock", "tests/downstream/Cargo.lock").map_err(failed)?;
    // Cargo removes the packages that no program needs.
    exec(cargo("update --quiet --workspace --manifest-path tests/downstream/Cargo.toml"))?;
    for program in PROGRAMS {
        let names = dependencies(program)?.into_iter().map(|name| name + "\n");
        fs::write(list(program), names.collect::<String>()).map_err(failed)?;
    }
    check_lists()
}

/// Sorted, a name a line, without the program itself.
fn list(program: &str) -> String {
    format!("tests/downstream/{program}/dependencies.txt")
}

fn dependencies(program: &str) -> Result<BTreeSet<String>, String> {
    // Of one platform, so that the lists do not depend on the machine.
    let options = "-e normal,build --target x86_64-unknown-linux-gnu --prefix none";
    let tree = output(cargo(format!("tree {MANIFEST} -p {program} {options}")))?;
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| *name != program).map(str::to_owned).collect())
}

//! Programs of users: `tests/downstream`, a workspace of its own.

use std::{collections::BTreeSet, fs};

use crate::command::{cargo, exec, output};

const MANIFEST: &str = "--locked --manifest-path tests/downstream/Cargo.toml";

/// Each program, with crates that it must not depend on.
const PROGRAMS: [(&str, &[&str]); 4] = [
    ("aborting", &["hyper", "ureq"]),
    ("facade", &["aws-lc-rs", "hyper", "native-tls", "openssl", "tokio"]),
    ("own-transport", &["hyper", "ring", "rustls", "tokio", "ureq"]),
    ("validator", &["http", "hyper", "tokio", "tracing", "ureq"]),
];

/// Builds, tests and runs the programs, each with the features that it selects itself.
///
/// # Errors
///
/// A program fails, or its dependencies differ from its list.
pub(crate) fn check() -> Result<(), String> {
    let options = format!("{MANIFEST} --target-dir target");
    exec(&mut cargo(&format!("clippy {options} --all-targets -- -D warnings")))?;
    for command in [
        "test -p facade",
        "test -p validator",
        "run -p validator",
        "run -p own-transport",
        "run -p aborting --profile aborting",
    ] {
        exec(&mut cargo(&format!("{command} {options}")))?;
    }
    check_lists()
}

/// # Errors
///
/// The dependencies of a program differ from its list, or cargo fails.
pub(crate) fn check_lists() -> Result<(), String> {
    let mut faults = Vec::new();
    for (program, forbidden) in PROGRAMS {
        let found = dependencies(program)?;
        let listed = fs::read_to_string(list(program)).unwrap_or_default();
        let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect();
        let missing: Vec<String> = only(&listed, &found);
        let added: Vec<String> = only(&found, &listed);
        let forbidden: Vec<_> = forbidden.iter().filter(|it| found.contains(**it)).collect();
        if !(missing.is_empty() && added.is_empty() && forbidden.is_empty()) {
            faults.push(format!(
                "\n  {program}: missing {missing:?}, added {added:?}, forbidden {forbidden:?}"
            ));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!(
        "dependencies differ (`cargo xtask downstream --bless` updates the lists):{}",
        faults.concat()
    ))
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
    exec(&mut cargo("update --quiet --workspace --manifest-path tests/downstream/Cargo.toml"))?;
    for (program, _) in PROGRAMS {
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
    let tree = output(&mut cargo(&format!("tree {MANIFEST} -p {program} {options}")))?;
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| *name != program).map(str::to_owned).collect())
}

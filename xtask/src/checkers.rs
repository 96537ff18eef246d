//! `cargo xtask miri`, `tsan` and `helgrind`: checkers that a machine may not have.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo::{Cargo, cargo};

/// The one target for which the thread sanitizer is set up here.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What helgrind says of Rust is noise wherever it is installed.
const HELGRIND: &str = "valgrind's race detectors, Helgrind and DRD, know POSIX locks; they see \
    neither the orderings of atomics nor the locks that are made of them, as all of Rust's and \
    parking_lot's are. They report a Mutex with its Condvar as races. `cargo xtask tsan` \
    understands atomics";

/// A command, and why it cannot be run on this machine, if so.
pub(crate) struct Checker {
    command: Cargo,
    pub(crate) missing: Option<String>,
}

/// Runs it, or says why not; returns whether it found nothing.
pub(crate) fn run(root: &Path, checker: &Checker) -> bool {
    match &checker.missing {
        Some(reason) => {
            println!("passed over: {reason}");
            true
        }
        None => checker.command.passes(root),
    }
}

/// Interprets tests of the crates that hold the unusual code, and looks for undefined behaviour,
/// in what they depend on as well: our own code has no `unsafe`.
pub(crate) fn miri() -> Checker {
    let command = cargo(
        "miri test -p telemetry-queue -p telemetry-model --lib --test model --test stress \
         --test hostile --test predictions --target-dir target/miri -- --nocapture",
    );
    let command = command
        .on_nightly()
        // Files, clock and the source of random numbers are the machine's.
        .with("MIRIFLAGS", "-Zmiri-disable-isolation")
        .with("PROPTEST_CASES", "8")
        .with("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
    let is_there = nightly(&["cargo", "miri", "--version"]).is_some() && has_source();
    let missing = || {
        "there is no nightly toolchain with Miri: rustup toolchain install nightly --component \
         miri,rust-src"
            .to_owned()
    };
    Checker { command, missing: (!is_there).then(missing) }
}

/// Runs the stress test of the queue under the thread sanitizer.
pub(crate) fn tsan() -> Checker {
    let has_source = has_source();
    // Without its source, the standard library stays as it is: not instrumented.
    let (build, flags) = if has_source {
        (" -Zbuild-std", "-Zsanitizer=thread")
    } else {
        ("", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer")
    };
    let command = cargo(format!(
        "test{build} --release -p telemetry-queue --test stress --target {TARGET} \
         --target-dir target/tsan -- --nocapture --test-threads=1"
    ));
    let command = command
        .on_nightly()
        .with("RUSTFLAGS", flags)
        .with("TSAN_OPTIONS", "suppressions=../../.cargo/tsan.txt");
    let runtime = format!("lib/rustlib/{TARGET}/lib/librustc-nightly_rt.tsan.a");
    let is_there = sysroot().is_some_and(|it| it.join(runtime).exists());
    let missing = || {
        format!(
            "there is no nightly toolchain for {TARGET} with the thread sanitizer: rustup \
             toolchain install nightly --component rust-src"
        )
    };
    Checker { command, missing: (!is_there).then(missing) }
}

/// Passed over, whatever is installed.
pub(crate) fn helgrind() -> Checker {
    Checker { command: cargo("xtask helgrind"), missing: Some(HELGRIND.into()) }
}

fn has_source() -> bool {
    sysroot().is_some_and(|it| it.join("lib/rustlib/src/rust/library/Cargo.toml").exists())
}

fn sysroot() -> Option<PathBuf> {
    nightly(&["rustc", "--print", "sysroot"]).map(|it| PathBuf::from(it.trim()))
}

/// What a program of the nightly toolchain prints, if there is one and it succeeds.
fn nightly(args: &[&str]) -> Option<String> {
    let output = Command::new("rustup")
        .args(["run", "nightly"])
        .args(args)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_passed_over_and_no_failure() {
        let root = crate::tree::root();
        let fails = cargo("no-such-command");
        let missing = Some("there is none".to_owned());
        assert!(run(&root, &Checker { command: fails.clone(), missing }));
        assert!(!run(&root, &Checker { command: fails, missing: None }));
        assert!(run(&root, &helgrind()));
    }

    #[test]
    fn what_is_missing_says_what_to_install() {
        for checker in [miri(), tsan()] {
            let reason = checker.missing;
            let is_told = |it: &String| it.contains("rustup toolchain install nightly");
            assert!(reason.as_ref().is_none_or(is_told), "{reason:?}");
        }
    }

    #[test]
    fn the_suppressions_are_where_the_command_says() {
        let tests = crate::tree::root().join("crates/telemetry-queue");
        assert!(tests.join("../../.cargo/tsan.txt").exists());
    }
}

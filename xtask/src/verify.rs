//! The long checks: more cases, real time, special builds.

use std::{path::PathBuf, process::Command};

use crate::{
    command::{cargo, command, exec, nightly, output},
    fuzz,
    steps::Steps,
};

/// Modules of `tests/it` that try more cases, or measure time, if `TELEMETRY_LONG_TESTS` is set.
const TESTS: &str = "duplicates fuzz hand_over hostile iterations lifecycle model panics plateau \
                     security soak stress teardown";

const INSTALL: &str = "needs `rustup toolchain install nightly --component miri,rust-src`";

/// # Errors
///
/// A check fails, or a name is unknown. A check that this machine cannot run is skipped.
pub(crate) fn run(names: &[&str]) -> Result<(), String> {
    let mut steps = Steps::new(names);
    for name in TESTS.split(' ') {
        // One after another where time is measured.
        let threads = if name == "hand_over" { "--test-threads=1" } else { "" };
        let test = format!("test --release -p telemetry-tests --test it -- {name}:: {threads}");
        steps.step(name, || long(&test));
    }
    steps.step("queue", || long("test --release -p telemetry-queue --test stress"));
    steps.step("outage", || exec(&mut outage(&["--check"])));
    steps.step("bench", bench);
    if output(&mut command("c++", "--version")).is_ok() {
        steps.step("libfuzzer", || fuzz::run(fuzz::SECONDS, &[]));
    } else {
        steps.skip("libfuzzer", "needs a C++ compiler");
    }
    let sysroot = output(&mut command("rustup", "run nightly rustc --print sysroot"));
    let library = sysroot.map(|it| PathBuf::from(it.trim()).join("lib/rustlib"));
    if output(&mut nightly("miri --version")).is_ok() {
        steps.step("miri", miri);
    } else {
        steps.skip("miri", INSTALL);
    }
    match library {
        Ok(library) => steps.step("tsan", || tsan(library.join("src").exists())),
        Err(_) => steps.skip("tsan", INSTALL),
    }
    steps.finish()
}

/// Simulates clients and a server that fails for an hour.
pub(crate) fn outage(args: &[&str]) -> Command {
    let mut command = cargo("run --release -p telemetry-tests --example outage --");
    command.args(args);
    command
}

fn long(test: &str) -> Result<(), String> {
    exec(cargo(test).env("TELEMETRY_LONG_TESTS", "1"))
}

/// The benchmarks are a workspace of their own, so that other SDKs are not built with every change.
fn bench() -> Result<(), String> {
    let options = "--locked --target-dir target/bench --manifest-path tests/bench";
    let all = "--all-targets -- -D warnings";
    exec(&mut cargo(&format!("clippy {options}/Cargo.toml {all}")))?;
    exec(&mut cargo(&format!("test {options}/Cargo.toml")))?;
    exec(&mut cargo(&format!("clippy {options}/embedding/Cargo.toml --all-features {all}")))
}

/// Checks the `unsafe` code of dependencies, as the tests of the queue and the model use it.
fn miri() -> Result<(), String> {
    let tests = "--lib --test model --test stress --test hostile --test predictions";
    let mut miri = nightly(&format!(
        "miri test -p telemetry-queue -p telemetry-model {tests} --target-dir target/miri"
    ));
    miri.env("MIRIFLAGS", "-Zmiri-disable-isolation") // for files, the clock and random numbers
        .env("PROPTEST_CASES", "8")
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
    exec(&mut miri)
}

/// Runs the stress test of the queue under the thread sanitizer.
fn tsan(has_source: bool) -> Result<(), String> {
    // Without its source, the standard library is not instrumented.
    let (build, flags) = if has_source {
        ("-Zbuild-std", "-Zsanitizer=thread")
    } else {
        ("", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer")
    };
    let mut tsan = nightly(&format!(
        "test {build} --release -p telemetry-queue --test stress --target-dir target/tsan \
         --target x86_64-unknown-linux-gnu -- --test-threads=1"
    ));
    // Cargo runs the test in the folder of its package.
    tsan.env("RUSTFLAGS", flags).env("TSAN_OPTIONS", "suppressions=../../.cargo/tsan.txt");
    exec(&mut tsan)
}

#[cfg(test)]
mod tests {
    #[test]
    fn test_modules_exist() {
        // A filter that matches no test would pass.
        for name in super::TESTS.split(' ') {
            assert!(std::fs::exists(format!("../tests/it/{name}.rs")).unwrap(), "{name}");
        }
    }
}

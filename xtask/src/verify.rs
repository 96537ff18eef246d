//! The long checks: more cases, real time, special builds.

use std::{path::Path, process::Command};

use crate::{
    advisories,
    command::{cargo, command, exec, nightly, output},
    downstream, fuzz, lockfile,
    steps::Steps,
};

/// Modules of `tests/it` that try more cases, or measure time, if `TELEMETRY_LONG_TESTS` is set.
const TESTS: &str = "duplicates fuzz hand_over hostile iterations model panics plateau security \
                     servers soak stress teardown";

const NIGHTLY: &str = "`rustup toolchain install nightly --component miri,rust-src`";

/// # Errors
///
/// A check fails, or a name is unknown. A check that this machine cannot run is skipped.
pub(crate) fn run(names: &[&str]) -> Result<(), String> {
    let mut steps = Steps::new(names);
    for name in TESTS.split(' ') {
        let options = match name {
            // Measures time.
            "hand_over" => "--test-threads=1",
            // Prints which programs are missing.
            "servers" => "--nocapture",
            _ => "",
        };
        let test = format!("test --release -p telemetry-tests --test it -- {name}:: {options}");
        steps.step(name, || long(&test));
    }
    steps.step("lifecycle", || long("test --release -p telemetry-tests --test lifecycle"));
    steps.step("steps", || exec(cargo("test --release -p telemetry-steps")));
    steps.step("queue", || long("test --release -p telemetry-queue --test stress"));
    steps.step("spool", || {
        long("test --release -p telemetry-spool")?;
        long("test --release -p telemetry-tests --test spool")
    });
    steps.step("cli", || long("test --release -p mosaic-telemetry-cli --test cli killed::"));
    steps.step("collector", || {
        long("test --release -p telemetry-collector --features sqlite --test it killed::")
    });
    // Prints that PostgreSQL is missing. Without `tls` as well, since that is another program.
    steps.step("postgres", || {
        let test = "test --release -p telemetry-collector --no-default-features --features";
        long(&format!("{test} cli,postgres,tls -- --nocapture"))?;
        long(&format!("{test} postgres --lib storage::"))
    });
    // Prints which agents are missing.
    steps.step("harnesses", || {
        long("test -p mosaic-telemetry-cli --test cli -- harnesses:: --nocapture")
    });
    let has = |command: Command| output(command).is_ok();
    let curl = has(command("curl", "--version"));
    steps.step_if(curl, "curl", "proxies", || {
        long("test -p telemetry-transport --all-features --lib tests::selection")
    });
    let driver = has(command("chromedriver", "--version"));
    steps.step_if(driver, "chromium and chromedriver", "page", || {
        long("test -p telemetry-collector --features page --test browser")
    });
    steps.step("features", features);
    steps.step("lockfile", lockfile::check);
    steps.step("rig-agent", downstream::check_rig_agent);
    steps.step("tls-hosts", downstream::check_tls_hosts);
    steps.step("outage", || exec(outage()));
    steps.step("bench", bench);
    let compiler = has(command("c++", "--version"));
    steps.step_if(compiler, "a C++ compiler", "libfuzzer", || fuzz::run(fuzz::SECONDS, &[]));
    steps.step_if(has(nightly("miri --version")), NIGHTLY, "miri", miri);
    steps.step_if(has(nightly("--version")), NIGHTLY, "tsan", tsan);
    let deny = has(cargo("deny --version"));
    steps.step_if(deny, "`cargo install cargo-deny`", "advisories", advisories::check);
    let mutants = has(cargo("mutants --version"));
    steps.step_if(mutants, "`cargo install cargo-mutants`", "mutants", mutate);
    steps.finish()
}

/// Each set of features compiles without warnings. Those that only enable a feature of rustls are left out.
fn features() -> Result<(), String> {
    // Does nothing if it is installed. A debug build takes half the time and only starts cargo.
    let hack = "cargo-hack --version 0.6.46 --locked --debug --root target/tools";
    exec(cargo(format!("install --quiet {hack}")))?;
    for crates in [
        // No code depends on two of a group. `_database` is enabled by those of the databases.
        "--workspace --exclude mosaicstack-telemetry --group-features prices,schemars \
         --group-features native-roots,reqwest,reqwest012 --exclude-features default,_database",
        // Those of reqwest only re-export a transport.
        "-p mosaicstack-telemetry --group-features backoff,layer,log,native-roots,prices \
         --exclude-features default,reqwest,reqwest012",
    ] {
        let powerset = "--ignore-private --ignore-unknown-features --feature-powerset";
        let clippy = format!("hack clippy {crates},aws-lc-rs,ring {powerset} -- -D warnings");
        exec(command("target/tools/bin/cargo-hack", &clippy))?;
    }
    Ok(())
}

/// Simulates clients and a server that fails for an hour.
pub(crate) fn outage() -> Command {
    let test = "test --release -p telemetry-tests --test it -- --ignored --nocapture outage::table";
    cargo(test)
}

fn long(test: &str) -> Result<(), String> {
    exec(cargo(test).env("TELEMETRY_LONG_TESTS", "1"))
}

/// `ci` leaves the benchmarks out, since they build other SDKs.
fn bench() -> Result<(), String> {
    let options = "--locked --target-dir target/bench --manifest-path tests/bench";
    let all = "--all-targets -- -D warnings";
    exec(cargo(format!("clippy {options}/Cargo.toml {all}")))?;
    exec(cargo(format!("test {options}/Cargo.toml")))?;
    exec(cargo(format!("clippy {options}/embedding/Cargo.toml --all-features {all}")))
}

/// Checks the `unsafe` code of dependencies, as the tests of the queue and the model use it.
fn miri() -> Result<(), String> {
    let tests = "--lib --test model --test stress --test events --test predictions";
    let crates = "-p telemetry-queue -p telemetry-model --target-dir target/miri";
    exec(
        nightly(format!("miri test {crates} {tests}"))
            .env("MIRIFLAGS", "-Zmiri-disable-isolation") // for files, the clock and random numbers
            .env("PROPTEST_CASES", "8")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true"),
    )
}

/// Runs the stress test of the queue under the thread sanitizer.
fn tsan() -> Result<(), String> {
    let sysroot = output(command("rustup", "run nightly rustc --print sysroot"))?;
    // Without its source, the standard library is not instrumented.
    let (build, flags) = if Path::new(sysroot.trim()).join("lib/rustlib/src/rust").exists() {
        ("-Zbuild-std", "-Zsanitizer=thread")
    } else {
        ("", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer")
    };
    let test = "test --release -p telemetry-queue --test stress --target-dir target/tsan \
                --target x86_64-unknown-linux-gnu";
    let mut tsan = nightly(format!("{test} {build} -- --test-threads=1"));
    // Cargo runs the test in the folder of its package.
    exec(tsan.env("RUSTFLAGS", flags).env("TSAN_OPTIONS", "suppressions=../../.cargo/tsan.txt"))
}

/// One of 50 parts of the mutants; all of them take hours.
fn mutate() -> Result<(), String> {
    let files = "--file crates/telemetry-queue/src/** --file crates/mosaicstack-telemetry/src/**";
    exec(cargo(format!("mutants {files} --test-workspace true --shard 0/50 --output target")))
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

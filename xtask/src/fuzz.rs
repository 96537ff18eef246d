//! Fuzzes the targets of `tests/fuzz` with libFuzzer, on Linux with a C++ compiler.

use std::{fs, path::PathBuf, process::Command};

use crate::command::{cargo, exec};

/// For how long each target runs by default.
pub(crate) const SECONDS: &str = "12";

const CORPUS: &str = "tests/fuzz/corpus";
const FOLDER: &str = "target/fuzz";

/// Instruments the code, as stable compilers can: counters of branches, and operands of comparisons.
const FLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Fuzzes the named targets, or all, and leaves inputs that reach new code in `target/fuzz/found`.
///
/// # Errors
///
/// A target fails or does not exist, or the fuzzer cannot be built.
pub(crate) fn run(seconds: &str, targets: &[&str]) -> Result<(), String> {
    let failed = |error| format!("{FOLDER}: {error}");
    // With a target named, the flags do not apply to build scripts and macros.
    let options = format!("--release --target host-tuple --target-dir {FOLDER}");
    let mut build = cargo(format!("build {options} --manifest-path tests/fuzz/Cargo.toml"));
    exec(build.env("RUSTFLAGS", FLAGS))?;
    let programs = fs::read_dir(FOLDER).map_err(failed)?.flatten();
    let mut programs = programs.map(|it| it.path().join("release").join("telemetry-fuzz"));
    let program: PathBuf = programs.find(|it| it.is_file()).ok_or("the fuzzer was not built")?;

    let known = fs::read_dir(CORPUS).map_err(failed)?.flatten();
    let known = known.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut selected: Vec<String> = targets.iter().map(|&target| target.to_owned()).collect();
    if selected.is_empty() {
        selected.extend(known);
        selected.sort();
    }
    for target in selected {
        let (corpus, found) = (format!("{CORPUS}/{target}"), format!("{FOLDER}/found/{target}"));
        fs::create_dir_all(&found).map_err(failed)?;
        let mut fuzz = Command::new(&program);
        fuzz.args([&found, &corpus])
            .args([format!("-max_total_time={seconds}"), format!("-artifact_prefix={found}-")])
            // `tests/it/fuzz.rs` has the same bound for the length of an input.
            .args(["-max_len=8192", "-rss_limit_mb=512", "-timeout=10", "-seed=7"])
            .args(["-verbosity=0", "-print_final_stats=1"])
            .env("TELEMETRY_FUZZ_TARGET", &target);
        exec(fuzz)?;
    }
    Ok(())
}

//! A guard: how many instructions reporting an event takes, on the calling thread, in a release build.
//!
//! Counts do not depend on the machine's mood, but on compiler, allocator and C library, so they are
//! those of one platform, however much its processor can, and have a margin. Who makes reporting
//! dearer on purpose, or cheaper, changes them here.
#![cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// As many as the example has.
const CALLS: usize = 21;

/// What is measured, and the instructions that it takes.
const EXPECTED: [(&str, u64); 3] =
    [("track", 597), ("build and track", 2_387), ("track on a full queue", 952)];

/// A part of a hundred.
const MARGIN: u64 = 10;

/// The example as users' programs are built, whatever profile the tests have.
fn example() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--locked", "--example", "track", "--message-format", "json"])
        // Other flags give other counts.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(package)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut messages = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    messages.next().expect("cargo names the program")
}

fn median(counts: &[u64]) -> u64 {
    let mut counts = counts.to_vec();
    counts.sort_unstable();
    counts[counts.len() / 2]
}

#[test]
fn reporting_takes_as_many_instructions_as_ever() {
    let counts = telemetry_steps::count(&mut Command::new(example())).expect("they are counted");
    assert_eq!(counts.len(), CALLS * EXPECTED.len());
    let faults: Vec<String> = counts
        .chunks(CALLS)
        .map(median)
        .zip(EXPECTED)
        .filter(|(counted, (_, expected))| counted.abs_diff(*expected) * 100 > expected * MARGIN)
        .map(|(counted, (what, expected))| format!("{what}: {counted}, expected {expected}"))
        .collect();
    assert!(faults.is_empty(), "instructions a call: {}", faults.join("; "));
}

//! The checks that a change has to pass, besides `cargo test --workspace`.

use std::{env, path::Path};

use crate::{
    command::{cargo, command, exec, output},
    downstream, modules, packages,
    steps::Steps,
};

/// The published crates; the tests would turn on their features.
const CRATES: &str =
    "--workspace --exclude telemetry-tests --exclude telemetry-steps --exclude xtask";

const HACK: &str = "0.6.46";

pub(crate) fn run(names: &[&str]) -> Result<(), String> {
    let mut steps = Steps::new(names);
    steps.step("structure", || packages::check().and_then(|()| modules::check()));
    steps.step("fmt", fmt);
    steps.step("clippy", || {
        exec(&mut cargo("clippy --workspace --all-targets --all-features -- -D warnings"))?;
        exec(&mut cargo(&format!(
            "clippy {CRATES} --all-targets --no-default-features -- -D warnings"
        )))
    });
    steps.step("features", features);
    steps.step("bare", || exec(&mut cargo(&format!("test {CRATES} --no-default-features"))));
    // `cargo test --workspace` runs those of all features, the step before those of none.
    steps.step("doctests", || exec(&mut cargo(&format!("test {CRATES} --doc"))));
    steps.step("docs", || {
        let mut doc = cargo("doc --workspace --no-deps --all-features");
        exec(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.step("loom", loom);
    steps.step("downstream", downstream::check);
    steps.step("package", || exec(&mut cargo("package --workspace --no-verify --allow-dirty")));
    steps.finish()
}

fn fmt() -> Result<(), String> {
    exec(&mut cargo("fmt --all --check"))?;
    let others = output(&mut command("git", "ls-files tests/bench tests/downstream tests/fuzz"))?;
    let others: Vec<&str> = others.lines().filter(|path| path.ends_with(".rs")).collect();
    exec(command("rustfmt", "--check --edition 2024").args(others))
}

/// Each set of features compiles without warnings.
fn features() -> Result<(), String> {
    if output(&mut cargo("hack --version")).is_err() {
        let root = "target/tools";
        // It only starts cargo; a debug build takes half the time.
        let install = format!("install cargo-hack --locked --debug --version {HACK} --root {root}");
        let installed = Path::new(root).join("bin").join("cargo-hack").exists()
            || exec(&mut cargo(&install)).is_ok();
        installed.then_some(()).ok_or("cargo-hack is missing and cannot be installed")?;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let tools = env::current_dir().map_err(|error| error.to_string())?.join("target/tools/bin");
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&path)));
    let mut hack = cargo(
        "hack clippy --workspace --ignore-private --feature-powerset --exclude-features default -- -D warnings",
    );
    exec(hack.env("PATH", path.map_err(|error| error.to_string())?))
}

/// In a target directory of its own, since other flags build all dependencies again.
fn loom() -> Result<(), String> {
    let release = "test --release --target-dir target/loom";
    for tests in [
        "-p telemetry-queue --test loom",
        // tokio has a meaning of its own for `cfg(loom)`, so the façade is built without it.
        "-p mosaicstack-telemetry --no-default-features --lib interleavings::",
    ] {
        exec(cargo(&format!("{release} {tests}")).env("RUSTFLAGS", "--cfg loom"))?;
    }
    Ok(())
}

//! The checks that a change has to pass, besides `cargo test --workspace`.

use crate::{
    command::{cargo, command, exec},
    downstream, modules, packages,
    steps::Steps,
};

pub(crate) fn run(names: &[&str]) -> Result<(), String> {
    let mut steps = Steps::new(names);
    steps.step("structure", || packages::check().and_then(|()| modules::check()));
    steps.step("fmt", fmt);
    steps.step("clippy", || {
        exec(cargo("clippy --workspace --all-targets --all-features -- -D warnings"))?;
        // The tests of the workspace depend on features of the crates.
        let exclude = "--exclude telemetry-tests --exclude telemetry-steps --exclude xtask";
        let bare = format!("--workspace {exclude} --all-targets --no-default-features");
        exec(cargo(format!("clippy {bare} -- -D warnings")))
    });
    steps.step("features", features);
    // `cargo test --workspace` tests all features, doctests included.
    steps.step("tests", || {
        // Of the same crates, so that both share their dependencies.
        let crates = "-p mosaicstack-telemetry -p telemetry-collector -p telemetry-transport";
        let test = format!("test {crates} --no-default-features");
        exec(cargo(&test))?;
        exec(cargo(format!("{test} --features mosaicstack-telemetry/default --doc")))
    });
    steps.step("docs", || {
        let mut doc = cargo("doc --workspace --no-deps --all-features");
        exec(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.step("loom", loom);
    steps.step("downstream", downstream::check);
    steps.step("package", || exec(cargo("package --workspace --no-verify --allow-dirty")));
    steps.finish()
}

fn fmt() -> Result<(), String> {
    exec(cargo("fmt --all --check"))?;
    for workspace in ["bench", "bench/embedding", "downstream", "fuzz"] {
        let manifest = format!("tests/{workspace}/Cargo.toml");
        exec(cargo(format!("fmt --all --check --manifest-path {manifest}")))?;
    }
    Ok(())
}

/// Each set of features compiles without warnings. Those that only enable a feature of rustls are left out.
fn features() -> Result<(), String> {
    // Does nothing if it is installed. A debug build takes half the time and only starts cargo.
    let hack = "cargo-hack --version 0.6.46 --locked --debug --root target/tools";
    exec(cargo(format!("install --quiet {hack}")))?;
    for crates in [
        // No code depends on two of a group.
        "--workspace --exclude mosaicstack-telemetry --group-features prices,schemars \
         --group-features native-roots,reqwest,reqwest012 --exclude-features default",
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

/// In a separate target directory, since other flags build all dependencies again.
fn loom() -> Result<(), String> {
    let release =
        "test --release --locked --manifest-path tests/loom/Cargo.toml --target-dir target/loom";
    for tests in
        ["-p telemetry-queue --lib --test loom", "-p mosaicstack-telemetry --lib interleavings::"]
    {
        exec(cargo(format!("{release} {tests}")).env("RUSTFLAGS", "--cfg loom"))?;
    }
    Ok(())
}

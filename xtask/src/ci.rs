//! The checks that a change has to pass, besides `cargo test --workspace`.

use crate::{
    command::{cargo, exec},
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

/// Sets of features compile without warnings, in addition to all and none. `verify features` checks the others.
fn features() -> Result<(), String> {
    for (name, features) in [
        ("telemetry-agent-logs", &["opencode-db", "prices", "zstd"][..]),
        (
            "telemetry-collector",
            &["cli,keys", "cli,postgres", "cli,sqlite", "keys", "page", "postgres,tls", "tls"],
        ),
        ("telemetry-transport", &["hyper", "ureq", "reqwest,reqwest012"][..]),
        ("mosaicstack-telemetry", &["backoff,layer,log", "hyper", "spool", "tokio", "ureq"]),
    ] {
        for features in features {
            let clippy = format!("clippy -p {name} --no-default-features --features {features}");
            exec(cargo(format!("{clippy} -- -D warnings")))?;
        }
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

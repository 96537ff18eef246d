//! `cargo xtask ci`: every check a change has to pass, each a cargo command that a person can copy.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::cargo::{Cargo, cargo};
use crate::tree::{BENCH, FUZZ, Tree};
use crate::{downstream, features};

struct Step {
    name: &'static str,
    commands: Vec<Cargo>,
}

struct Outcome {
    step: &'static str,
    failed: Vec<Cargo>,
    took: Duration,
}

/// Runs the named steps, or all if none is named, whatever fails, and returns whether all passed.
///
/// With `--list` the commands are printed instead. Fails if a step is unknown or a manifest cannot
/// be read.
pub(crate) fn run(root: &Path, args: &[&str]) -> Result<bool, String> {
    let (options, names): (Vec<&str>, Vec<&str>) = args.iter().partition(|&&arg| arg == "--list");
    let steps = select(steps(&Tree::load(root)?), &names)?;
    if !options.is_empty() {
        steps.iter().flat_map(|step| &step.commands).for_each(|command| println!("{command}"));
        return Ok(true);
    }
    let outcomes: Vec<Outcome> = steps.into_iter().map(|step| step.run(root)).collect();
    report(&outcomes);
    Ok(outcomes.iter().all(|it| it.failed.is_empty()))
}

fn steps(tree: &Tree) -> Vec<Step> {
    let step = |name, command: &str| Step { name, commands: vec![cargo(command)] };
    vec![
        Step {
            name: "fmt",
            commands: [
                cargo("fmt --all --check"),
                cargo(format!("fmt --check --manifest-path {FUZZ}Cargo.toml")),
                cargo(format!("fmt --check --manifest-path {BENCH}Cargo.toml")),
                cargo(format!("fmt --check --manifest-path {BENCH}embedding/Cargo.toml")),
            ]
            .into_iter()
            .chain(downstream::formatting(tree))
            .collect(),
        },
        step("clippy", "clippy --workspace --all-targets --all-features -- -D warnings"),
        step(
            "clippy-bare",
            "clippy --workspace --all-targets --no-default-features -- -D warnings",
        ),
        step("test", "test --workspace --all-features"),
        Step { name: "features", commands: features::table(tree) },
        Step {
            name: "docs",
            commands: vec![
                cargo("doc --workspace --no-deps --all-features")
                    .with("RUSTDOCFLAGS", "-D warnings"),
            ],
        },
        Step {
            name: "loom",
            // A target directory of its own, or its flags would throw away what the others built.
            commands: vec![
                cargo(
                    "test -p telemetry-queue --release --test loom --target-dir target/loom -- \
                     --nocapture",
                )
                .with("RUSTFLAGS", "--cfg loom"),
                // Without tokio, which takes `cfg(loom)` for its own.
                cargo(
                    "test -p mosaicstack-telemetry --release --lib --no-default-features \
                     --target-dir target/loom -- --nocapture interleavings::",
                )
                .with("RUSTFLAGS", "--cfg loom"),
            ],
        },
        // Those that users copy from; the tests' own one is a part of the evidence.
        step(
            "examples",
            "build --workspace --exclude telemetry-tests --examples --all-features --release",
        ),
        Step { name: "downstream", commands: downstream::checks(tree) },
        step("package", "package --workspace --no-verify --allow-dirty"),
        step("tidy", "xtask tidy"),
    ]
}

fn select(steps: Vec<Step>, names: &[&str]) -> Result<Vec<Step>, String> {
    let known: Vec<&str> = steps.iter().map(|step| step.name).collect();
    let unknown: Vec<&str> = names.iter().filter(|&name| !known.contains(name)).copied().collect();
    if !unknown.is_empty() {
        return Err(format!("no such step: {}; there are: {}", unknown.join(" "), known.join(" ")));
    }
    Ok(steps.into_iter().filter(|step| names.is_empty() || names.contains(&step.name)).collect())
}

fn report(outcomes: &[Outcome]) {
    println!("\n{:<12} {:<7} {:>7}", "step", "result", "seconds");
    for Outcome { step, failed, took } in outcomes {
        let result = if failed.is_empty() { "ok" } else { "FAILED" };
        println!("{step:<12} {result:<7} {:>7.1}", took.as_secs_f64());
    }
    let mut failed = outcomes.iter().flat_map(|it| &it.failed).peekable();
    if failed.peek().is_some() {
        println!("\nfailed:");
        failed.for_each(|command| println!("  {command}"));
    }
}

impl Step {
    #[expect(clippy::disallowed_methods, reason = "how long a step takes is for a person to read")]
    fn run(self, root: &Path) -> Outcome {
        println!("\n[{}]", self.name);
        let start = Instant::now();
        let failed = self.commands.into_iter().filter(|command| !command.passes(root)).collect();
        Outcome { step: self.name, failed, took: start.elapsed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_the_named_steps_in_their_order_and_all_by_default() {
        let named = |names: &[&str]| {
            let steps = select(steps(&Tree::default()), names)?;
            Ok::<_, String>(steps.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(named(&["clippy", "fmt"]).unwrap(), ["fmt", "clippy"]);
        assert_eq!(named(&[]).unwrap().len(), 11);
        let error = named(&["fmt", "lint"]).unwrap_err();
        assert!(error.starts_with("no such step: lint; there are: fmt clippy "), "{error}");
    }
}

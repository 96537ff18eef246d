//! `cargo xtask ci`: every check a change has to pass, each a cargo command that a person can copy.

use std::env;
use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::tree::Tree;

/// The crates whose unit tests also run without their default features.
const TESTED_BARE: [&str; 2] = ["mosaicstack-telemetry", "telemetry-transport"];

struct Step {
    name: &'static str,
    commands: Vec<Cargo>,
}

/// A call of cargo, displayed as one would type it.
struct Cargo {
    variable: Option<(&'static str, &'static str)>,
    /// Separated by single spaces; none contains one.
    args: String,
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
        step("fmt", "fmt --all --check"),
        step("clippy", "clippy --workspace --all-targets --all-features -- -D warnings"),
        step(
            "clippy-bare",
            "clippy --workspace --all-targets --no-default-features -- -D warnings",
        ),
        step("test", "test --workspace --all-features"),
        Step { name: "features", commands: feature_table(tree) },
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
                cargo("test -p telemetry-queue --release --test loom --target-dir target/loom")
                    .with("RUSTFLAGS", "--cfg loom"),
            ],
        },
        step("examples", "build --workspace --examples --release"),
        step("package", "package --workspace --no-verify --allow-dirty"),
        step("tidy", "xtask tidy"),
    ]
}

/// Each published crate with none of its features, with each alone, and with all.
fn feature_table(tree: &Tree) -> Vec<Cargo> {
    let mut commands = Vec::new();
    for manifest in tree.manifests.iter().filter(|it| it.is_published) {
        let package = &manifest.package;
        let mut check = |features: &str| {
            commands.push(cargo(&format!("clippy -p {package} --lib {features} -- -D warnings")));
        };
        check("--no-default-features");
        for feature in &manifest.features {
            check(&format!("--no-default-features --features {}", feature.name));
        }
        if !manifest.features.is_empty() {
            check("--all-features");
        }
        if TESTED_BARE.contains(&package.as_str()) {
            commands.push(cargo(&format!("test -p {package} --lib --no-default-features")));
        }
    }
    commands
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

fn cargo(args: &str) -> Cargo {
    Cargo { variable: None, args: args.to_owned() }
}

impl Cargo {
    fn with(self, variable: &'static str, value: &'static str) -> Self {
        Self { variable: Some((variable, value)), ..self }
    }

    fn passes(&self, root: &Path) -> bool {
        println!("{self}");
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(self.args.split(' ')).envs(self.variable).current_dir(root);
        // A cargo typed in a shell has none of these, and ring is built anew when they change.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name);
            }
        }
        let status = command.status().inspect_err(|error| eprintln!("cannot run cargo: {error}"));
        status.is_ok_and(|it| it.success())
    }
}

impl Display for Cargo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some((name, value)) = self.variable {
            write!(f, "{name}=\"{value}\" ")?;
        }
        write!(f, "cargo {}", self.args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feature_table_follows_the_manifests() {
        let tree = Tree::of(&[
            (
                "crates/a/Cargo.toml",
                "[package]\nname = \"a\"\n[features]\ndefault = [\"x\"]\nx = []\ny = []",
            ),
            ("crates/t/Cargo.toml", "[package]\nname = \"telemetry-transport\""),
            ("tests/Cargo.toml", "[package]\nname = \"b\"\npublish = false"),
        ]);
        let table: Vec<String> = feature_table(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            table,
            [
                "cargo clippy -p a --lib --no-default-features -- -D warnings",
                "cargo clippy -p a --lib --no-default-features --features x -- -D warnings",
                "cargo clippy -p a --lib --no-default-features --features y -- -D warnings",
                "cargo clippy -p a --lib --all-features -- -D warnings",
                "cargo clippy -p telemetry-transport --lib --no-default-features -- -D warnings",
                "cargo test -p telemetry-transport --lib --no-default-features",
            ]
        );
    }

    #[test]
    fn selects_the_named_steps_in_their_order_and_all_by_default() {
        let named = |names: &[&str]| {
            let steps = select(steps(&Tree::default()), names)?;
            Ok::<_, String>(steps.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(named(&["clippy", "fmt"]).unwrap(), ["fmt", "clippy"]);
        assert_eq!(named(&[]).unwrap().len(), 10);
        let error = named(&["fmt", "lint"]).unwrap_err();
        assert!(error.starts_with("no such step: lint; there are: fmt clippy "), "{error}");
    }

    #[test]
    fn a_command_reads_as_one_would_type_it() {
        let command = cargo("doc --no-deps").with("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(command.to_string(), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }
}

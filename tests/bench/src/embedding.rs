//! Section `embedding`: the crates, the build time and the size that an SDK adds to a program.
//!
//! The programs are in `tests/bench/embedding`, a workspace with its own release profile.

use std::{
    collections::BTreeSet,
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{Result, figures::Figures};

const CASE: &str = "a program";

/// The platform for which crates are counted, on all platforms.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A row of the table.
struct Program {
    contender: &'static str,
    /// The name in the manifest.
    bin: &'static str,
    feature: &'static str,
    /// The number of timed builds from an empty target directory; a program without any is built on
    /// top of the one before it, and not timed.
    builds: usize,
}

/// Sizes are differences to the size of this program.
const EMPTY: Program = program("an empty program", "empty", "", 1);

// The peers' usual features and two forms of the SDK follow the program that they have most in common
// with, to shorten the section.
const PROGRAMS: [Program; 12] = [
    program("mosaicstack-telemetry, default and ring", "sdk", "sdk-default", 3),
    program("baseline: ureq + rustls + serde_json + uuid", "baseline", "baseline", 3),
    program("sentry, smallest", "with-sentry", "sentry-smallest", 1),
    program("posthog-rs, smallest", "with-posthog", "posthog", 1),
    program("posthog-rs, usual", "with-posthog", "posthog-usual", 0),
    program("opentelemetry, smallest", "with-opentelemetry", "opentelemetry", 1),
    program("opentelemetry, usual", "with-opentelemetry", "opentelemetry-usual", 0),
    program("sentry, usual", "with-sentry", "sentry-usual", 0),
    program("mosaicstack-telemetry, hyper and ring", "sdk-hyper", "sdk-hyper", 1),
    program("mosaicstack-telemetry, custom transport", "sdk-transport", "sdk", 1),
    program("mosaicstack-telemetry, tokio without TLS", "sdk-tokio", "sdk-tokio", 0),
    program("telemetry-model", "model", "model", 1),
];

const fn program(
    contender: &'static str,
    bin: &'static str,
    feature: &'static str,
    builds: usize,
) -> Program {
    Program { contender, bin, feature, builds }
}

/// Counts, builds and measures all programs.
///
/// A program that fails to build is reported on the standard error and left out: sentry's usual features
/// need the headers of OpenSSL.
pub(crate) fn measure() -> Result<Figures> {
    let workspace = Workspace::new();
    // First, so that no build waits for the network.
    workspace.cargo("fetch --locked")?;
    let (_, empty) = workspace.build(&EMPTY)?;
    let mut figures = Figures::default();
    // In rounds, so that other load of the machine does not hit the builds of one program alone.
    for round in 0..3 {
        for program in PROGRAMS.iter().filter(|it| round == 0 || it.builds > round) {
            let (seconds, bytes) = match workspace.build(program) {
                Ok(built) => built,
                Err(error) => {
                    eprintln!("{}: {error}", program.contender);
                    continue;
                }
            };
            let mut add = |metric, value| figures.add(CASE, program.contender, metric, value);
            if round == 0 {
                add("crates", crates(&workspace.tree(program)?) as f64);
                add("binary, KiB", bytes.saturating_sub(empty) as f64 / 1024.0);
            }
            if program.builds > 0 {
                add("build, s", seconds);
            }
        }
    }
    fs::remove_dir_all(&workspace.target)?;
    Ok(figures)
}

struct Workspace {
    folder: PathBuf,
    target: PathBuf,
}

impl Workspace {
    fn new() -> Self {
        // Read at run time: checkouts that share a target directory share this program.
        let manifest = env::var_os("CARGO_MANIFEST_DIR");
        let bench = PathBuf::from(manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()));
        let target = bench.join("../../target/bench/embedding");
        Self { folder: bench.join("embedding"), target }
    }

    /// Builds a program; returns the seconds of the build and the size of the program in bytes.
    fn build(&self, program: &Program) -> Result<(f64, u64)> {
        let Program { bin, builds, .. } = program;
        let is_clean = *builds > 0;
        if is_clean && self.target.exists() {
            fs::remove_dir_all(&self.target)?;
        }
        let start = Instant::now();
        self.cargo(&format!(
            "build --locked --offline --release -j2 --bin {bin} {}",
            program.features()
        ))?;
        let seconds = start.elapsed().as_secs_f64();
        let file = format!("{bin}{}", env::consts::EXE_SUFFIX);
        let bytes = fs::metadata(self.target.join("release").join(file))?.len();
        let kind = if is_clean { "clean" } else { "incremental" };
        eprintln!("{seconds:7.1} s, {kind} {:>7} KiB  {}", bytes / 1024, program.contender);
        Ok((seconds, bytes))
    }

    /// The crates that a program is made of, one per line.
    fn tree(&self, program: &Program) -> Result<String> {
        let edges = format!("-e normal,build --target {TARGET} --prefix none");
        self.cargo(&format!("tree --locked --offline {edges} {}", program.features()))
    }

    /// Returns the output of cargo with these arguments, none of which contains a space.
    fn cargo(&self, args: &str) -> Result<String> {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(args.split(' ').filter(|it| !it.is_empty())).current_dir(&self.folder);
        command.env("CARGO_TARGET_DIR", &self.target).stderr(Stdio::piped());
        let output = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("cargo {args}:\n{}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

impl Program {
    fn features(&self) -> String {
        let Self { feature, .. } = self;
        if feature.is_empty() { String::new() } else { format!("--features {feature}") }
    }
}

/// The number of crates in the tree: each version once, without the program itself.
fn crates(tree: &str) -> usize {
    let named = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?))
    });
    named.filter(|&(name, _)| name != "hello").collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_of_a_crate_counts_once() {
        let tree =
            "hello v0.1.0 (/a b/hello)\nb v1.0.0\na v1.0.0 (proc-macro)\nb v2.0.0\na v1.0.0 (*)\n";
        assert_eq!([crates(tree), crates("hello v0.1.0 (/hello)\n")], [3, 0]);
    }

    #[test]
    fn each_program_and_feature_is_in_the_manifest() {
        let manifest = fs::read_to_string(Workspace::new().folder.join("Cargo.toml")).unwrap();
        for Program { bin, feature, .. } in PROGRAMS.iter().chain([&EMPTY]) {
            assert!(manifest.contains(&format!("\n[[bin]]\nname = \"{bin}\"\n")), "{bin}");
            let is_there = feature.is_empty() || manifest.contains(&format!("\n{feature} = ["));
            assert!(is_there, "{feature}");
        }
    }
}

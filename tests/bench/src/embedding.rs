//! What an SDK adds to the program that embeds it: crates, seconds of a build, size.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{Failure, figure::Figure};

use self::programs::{EMPTY, PROGRAMS, Program};

mod programs;

/// Crates are counted for one platform, wherever they are counted.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What sets compiler, flags or folders in a way that the programs' manifest does not know.
const VARIABLES: [&str; 7] = [
    "CARGO_BUILD_JOBS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_TARGET_DIR",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// The programs' workspace, and where they are built.
struct Bench {
    folder: PathBuf,
    target: PathBuf,
}

/// Counts, builds and weighs each program of [`PROGRAMS`], and hands its figures to `found`.
///
/// One that cannot be built is told on the standard error and left out: sentry's usual features take
/// OpenSSL's headers. All crates are fetched first, so that no build waits for the network.
///
/// # Errors
///
/// Crates cannot be fetched, or the empty program cannot be built.
pub fn run(mut found: impl FnMut(Figure) -> io::Result<()>) -> Result<(), Failure> {
    let root = crate::root();
    let bench = Bench {
        folder: root.join("tests/bench/embedding"),
        target: root.join("target/bench/embedding"),
    };
    bench.cargo("fetch --locked")?;
    let (_, empty) = bench.build(&EMPTY)?;
    let mut built: Vec<(&Program, u64, Vec<f64>)> = Vec::new();
    for program in &PROGRAMS {
        match bench.build(program) {
            Ok((seconds, bytes)) => built.push((program, bytes, vec![seconds])),
            Err(error) => eprintln!("{}, {}: {error}", program.subject, program.case),
        }
    }
    // In rounds, so that whatever else the machine does is not in the builds of one program alone.
    let rounds = PROGRAMS.iter().map(|program| program.builds).max().unwrap_or_default();
    for round in 1..rounds {
        for (program, _, seconds) in built.iter_mut().filter(|(it, ..)| it.builds > round) {
            match bench.build(program) {
                Ok((again, _)) => seconds.push(again),
                Err(error) => eprintln!("{}, {}: {error}", program.subject, program.case),
            }
        }
    }
    for (program, bytes, seconds) in built {
        let crates = crates(&bench.cargo(&tree_of(program))?) as f64;
        let kib = bytes.saturating_sub(empty) as f64 / 1024.0;
        let build = (program.builds > 0).then_some(("build", "s", seconds));
        let metrics = [("crates", "", vec![crates])].into_iter().chain(build);
        for (metric, unit, rounds) in metrics.chain([("binary", "KiB", vec![kib])]) {
            let Program { case, subject, .. } = program;
            found(Figure::new("embedding", case, subject, metric, unit, rounds))?;
        }
    }
    Ok(fs::remove_dir_all(&bench.target)?)
}

impl Bench {
    /// Builds a program, and returns the seconds that took and the size of the program in bytes.
    fn build(&self, program: &Program) -> Result<(f64, u64), Failure> {
        let Program { name, feature, builds, .. } = program;
        let is_clean = *builds > 0;
        if is_clean && self.target.exists() {
            fs::remove_dir_all(&self.target)?;
        }
        let start = Instant::now();
        self.cargo(&format!(
            "build --locked --offline --release -j2 --bin {name} {}",
            chosen(feature)
        ))?;
        let seconds = start.elapsed().as_secs_f64();
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        let bytes = fs::metadata(self.target.join("release").join(file))?.len();
        let manner = if is_clean { "from nothing" } else { "on the last" };
        eprintln!("{seconds:7.1} s {manner} {:>7} KiB  {name} {feature}", bytes / 1024);
        Ok((seconds, bytes))
    }

    /// What cargo prints, run with these arguments, which contain no blanks.
    fn cargo(&self, args: &str) -> Result<String, String> {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(args.split(' ').filter(|it| !it.is_empty())).current_dir(&self.folder);
        // As a cargo that was typed in a shell: ring looks at some of what it is told.
        let ours =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        let others = env::vars_os().map(|(name, _)| name);
        for name in others.filter(|name| name.to_str().is_some_and(ours)) {
            command.env_remove(name);
        }
        VARIABLES.iter().for_each(|name| _ = command.env_remove(name));
        command.env("CARGO_TARGET_DIR", &self.target).stderr(Stdio::piped());
        let output = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("cargo {args}:\n{}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn tree_of(program: &Program) -> String {
    let edges = format!("-e normal,build --target {TARGET} --prefix none");
    format!("tree --locked --offline {edges} {}", chosen(program.feature))
}

fn chosen(feature: &str) -> String {
    if feature.is_empty() { String::new() } else { format!("--features {feature}") }
}

/// How many crates the tree has, each version once, without the program itself.
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
    fn each_version_of_a_crate_counts_once_and_the_program_does_not() {
        let tree =
            "hello v0.1.0 (/a b/hello)\nb v1.0.0\na v1.0.0 (proc-macro)\nb v2.0.0\na v1.0.0 (*)\n";
        assert_eq!(crates(tree), 3);
        assert_eq!(crates("hello v0.1.0 (/hello)\n"), 0);
    }

    #[test]
    fn each_program_and_feature_is_in_the_manifest() {
        let folder = crate::root().join("tests/bench/embedding");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for Program { name, feature, .. } in PROGRAMS.iter().chain([&EMPTY]) {
            assert!(manifest.contains(&format!("\n[[bin]]\nname = \"{name}\"\n")), "{name}");
            let is_there = feature.is_empty() || manifest.contains(&format!("\n{feature} = ["));
            assert!(is_there, "{feature}");
        }
        assert!(folder.join("Cargo.lock").exists());
    }
}

//! `cargo xtask fuzz`: libFuzzer looks for inputs that break the targets of `tests/src/fuzz`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::cargo::{Cargo, cargo};

/// Each target, and the claim of `docs/reliability.md` that it is about.
const TARGETS: [(&str, &str); 9] = [
    ("answers", "R17"),
    ("batch", "R17"),
    ("delivery", "R3"),
    ("environment", "R14"),
    ("event", "R17"),
    ("mask", "R14"),
    ("predictions-request", "R17"),
    ("predictions-response", "R17"),
    ("retry-after", "R8"),
];

/// The claims of all targets.
pub(crate) const CLAIMS: [&str; 4] = ["R3", "R8", "R14", "R17"];

const CORPUS: &str = "tests/fuzz/corpus";

/// The target directory, and what comes of the runs: it is nobody else's, since the flags are not.
const FOLDER: &str = "target/fuzz";

const PROGRAM: &str = "telemetry-fuzz";

/// Tells the program its target.
const VARIABLE: &str = "TELEMETRY_FUZZ_TARGET";

/// Instruments the code for libFuzzer, as a stable compiler can: counters of branches, and what is
/// compared with what.
const FLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// The same inputs are found again as long as the code is the same.
const SEED: u32 = 7;

/// `tests/it/fuzz.rs` has the same bound for the corpus.
const MAX_BYTES: u32 = 8 * 1024;

/// What a target may hold.
const MAX_MIB: u32 = 512;

/// How many seconds an input may take.
const MAX_SECONDS: u32 = 10;

/// How many targets are run at a time.
const AT_ONCE: usize = 2;

/// For how many seconds each target is run, unless the arguments say otherwise.
const SECONDS: u32 = 12;

/// What libFuzzer says at the end.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    executed: u64,
    /// Branches that the corpus reaches, and that were reached in the end.
    covered: (u64, u64),
    found: u64,
}

/// Why it cannot be run on this machine, if so.
pub(crate) fn missing() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("libFuzzer is run on Linux only".into());
    }
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let version = Command::new(&compiler).arg("--version").output();
    let is_there = version.is_ok_and(|it| it.status.success());
    (!is_there).then(|| format!("libFuzzer takes a C++ compiler, and {compiler} is not there"))
}

/// Runs the named targets, or all if none is named, and returns whether they survived.
///
/// Fails if the arguments are others, or the program cannot be built.
pub(crate) fn run(root: &Path, args: &[&str]) -> Result<bool, String> {
    let (seconds, names) = match args {
        ["--seconds", seconds, names @ ..] => {
            (seconds.parse().map_err(|_| format!("{seconds} is no number of seconds"))?, names)
        }
        names => (SECONDS, names),
    };
    let targets = select(names)?;
    if let Some(reason) = missing() {
        return Err(reason);
    }
    build().output(root)?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut survived = true;
        while let Some(&(target, claim)) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            survived &= fuzz(root, target, claim, seconds)?;
        }
        Ok(survived)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<bool, String>>| {
            thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))
        };
        let results: Vec<_> = threads.into_iter().map(join).collect();
        results.into_iter().try_fold(true, |survived, it| Ok(it? && survived))
    })
}

fn select(names: &[&str]) -> Result<Vec<(&'static str, &'static str)>, String> {
    let known = TARGETS.map(|(name, _)| name);
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("no such target: {unknown}; there are: {}", known.join(" ")));
    }
    let is_named = |(name, _): &(&str, _)| names.is_empty() || names.contains(name);
    Ok(TARGETS.into_iter().filter(is_named).collect())
}

fn build() -> Cargo {
    // With a target named, the flags are not those of build scripts and macros.
    let options = format!("--release --target host-tuple --target-dir {FOLDER}");
    cargo(format!("build {options} --manifest-path tests/fuzz/Cargo.toml")).with("RUSTFLAGS", FLAGS)
}

/// Runs one target, says what came of it, and returns whether it survived.
fn fuzz(root: &Path, target: &str, claim: &str, seconds: u32) -> Result<bool, String> {
    let failed = |error| format!("{target} cannot be run: {error}");
    let (corpus, found) = (format!("{CORPUS}/{target}"), format!("{FOLDER}/found/{target}"));
    // What was found before would be run as a part of the corpus.
    let _ = fs::remove_dir_all(root.join(&found));
    fs::create_dir_all(root.join(&found)).map_err(failed)?;
    let mut command = Command::new(program(root)?);
    command
        .args([found.as_str(), corpus.as_str()])
        .args([format!("-max_total_time={seconds}"), format!("-seed={SEED}")])
        .args([format!("-max_len={MAX_BYTES}"), format!("-rss_limit_mb={MAX_MIB}")])
        .args([format!("-timeout={MAX_SECONDS}"), format!("-artifact_prefix={found}-")])
        .arg("-print_final_stats=1")
        .env(VARIABLE, target)
        .current_dir(root);
    let Output { status, stderr, .. } = command.output().map_err(failed)?;
    let log = String::from_utf8_lossy(&stderr);
    match summary(&log).filter(|_| status.success()) {
        Some(Summary { executed, covered: (corpus, all), found }) if corpus > 0 => {
            println!(
                "evidence {claim}: {target}: {executed} inputs in {seconds} s, {corpus} branches \
                 reached by the corpus and {all} in the end, {found} inputs found on the way"
            );
            Ok(true)
        }
        _ => {
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            println!("{target} FAILED:\n{}", last.join("\n"));
            Ok(false)
        }
    }
}

/// The program, in the folder of whatever platform this is.
fn program(root: &Path) -> Result<PathBuf, String> {
    let folders = fs::read_dir(root.join(FOLDER)).map_err(|error| format!("{FOLDER}: {error}"))?;
    let program = |folder: fs::DirEntry| folder.path().join("release").join(PROGRAM);
    let mut programs = folders.flatten().map(program).filter(|it| it.is_file());
    programs.next().ok_or_else(|| format!("{PROGRAM} is not in {FOLDER}"))
}

fn summary(log: &str) -> Option<Summary> {
    let number = |line: &str, key: &str| {
        let mut words = line.split_whitespace();
        words.find(|word| *word == key)?;
        words.next()?.parse::<u64>().ok()
    };
    let covered = |event: &str| {
        let line = log.lines().find(|line| line.split_whitespace().nth(1) == Some(event))?;
        number(line, "cov:")
    };
    let stat = |key: &str| log.lines().find_map(|line| number(line, key));
    Some(Summary {
        executed: stat("stat::number_of_executed_units:")?,
        covered: (covered("INITED")?, covered("DONE")?),
        found: stat("stat::new_units_added:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::root;

    #[test]
    fn every_target_has_its_corpus_and_its_claim() {
        let mut folders: Vec<String> = fs::read_dir(root().join(CORPUS))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        folders.sort();
        assert_eq!(folders, TARGETS.map(|(name, _)| name));
        for claim in CLAIMS {
            assert!(TARGETS.iter().any(|(_, of)| *of == claim), "{claim}");
        }
        assert!(TARGETS.iter().all(|(_, claim)| CLAIMS.contains(claim)));
    }

    #[test]
    fn selects_the_named_targets_and_all_by_default() {
        assert_eq!(select(&[]).unwrap().len(), TARGETS.len());
        assert_eq!(select(&["event"]).unwrap(), [("event", "R17")]);
        let error = select(&["events"]).unwrap_err();
        assert!(error.starts_with("no such target: events; there are: answers "), "{error}");
    }

    #[test]
    fn a_summary_is_read_from_what_libfuzzer_says() {
        let log = "\
INFO: Seed: 7
#27\tINITED cov: 812 ft: 1412 corp: 27/10Kb exec/s: 0 rss: 40Mb
#204\tNEW    cov: 820 ft: 1500 corp: 28/11Kb lim: 6 exec/s: 0 rss: 27Mb L: 5/5 MS: 2 InsertByte-
#5659\tDONE   cov: 843 ft: 1600 corp: 40/16Kb lim: 4096 exec/s: 471 rss: 41Mb
stat::number_of_executed_units: 5659
stat::new_units_added:          13
";
        let expected = Summary { executed: 5659, covered: (812, 843), found: 13 };
        assert_eq!(summary(log), Some(expected));
        assert_eq!(summary("stat::number_of_executed_units: 5659"), None);
    }
}

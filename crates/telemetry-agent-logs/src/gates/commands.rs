//! Programs that are quality gates.

use telemetry_model::QualityGate;

use super::{
    targets,
    tools::{self, listed},
    wrappers::{self, program},
};

use QualityGate::{Build, Coverage, Lint, Security, Test, Typecheck};

/// Commands that run others which are followed: `coverage run -m pytest`.
const MAX_DEPTH: usize = 4;

/// The gates of a simple command; `None` if it is none, or if its options make it run nothing.
pub(super) fn gates(words: &[&str], exit_status: i64) -> Option<Vec<QualityGate>> {
    Command { exit_status, depth: 0 }.gates(words)
}

#[derive(Clone, Copy)]
struct Command {
    exit_status: i64,
    depth: usize,
}

impl Command {
    fn gates(self, words: &[&str]) -> Option<Vec<QualityGate>> {
        let (first, options) = words.split_first()?;
        // `uv run -m pytest`.
        let name = if *first == "-m" { "python".into() } else { program(first) };
        let options = if *first == "-m" { words } else { options };
        if tools::run_nothing(&name, options) {
            return None;
        }
        let found = match &*name {
            "cargo" => cargo(options),
            "python" | "node" | "php" | "ruby" => self.interpreter(&name, options),
            "coverage" if options.first() == Some(&"run") => {
                self.interpreter("python", options.get(1..)?)
            }
            // No tests were found, or the options are wrong.
            "pytest" | "py.test" if matches!(self.exit_status, 4 | 5) => None,
            "pytest" | "py.test" | "jest" | "vitest" | "gotestsum" | "phpunit" | "pest"
            | "rspec" => {
                let is_other = |word: &&str| matches!(*word, "list" | "init" | "bench" | "watch");
                (!options.first().is_some_and(is_other)).then(|| with_coverage(Test, options))
            }
            "npm" | "pnpm" | "yarn" | "bun" => package_manager(&name, options),
            "make" | "gmake" | "ninja" | "just" | "task" | "rake" | "invoke" | "inv" | "nox"
            | "tox" => build_tool(&name, options),
            "gradle" | "gradlew" => run_tests(options, all(options, targets::gradle)?),
            "mvn" | "mvnw" | "mvnd" => run_tests(options, all(options, targets::maven)?),
            "composer" => targets::script(subcommand(options)?.0).map(<[_]>::to_vec),
            "turbo" | "nx" | "ng" | "lerna" | "next" | "vite" | "react-scripts" => {
                let (command, rest) = subcommand(options)?;
                let script = if command == "run" { subcommand(rest)?.0 } else { command };
                // `nx run app:test`.
                targets::script(script.rsplit(':').next()?).map(<[_]>::to_vec)
            }
            "c8" | "nyc" => self.coverage(options),
            _ => listed(&name, options),
        };
        found.filter(|gates| !gates.is_empty())
    }

    /// The gates of the command that is run by this one.
    fn nested(self, words: &[&str]) -> Option<Vec<QualityGate>> {
        let depth = self.depth + 1;
        (depth <= MAX_DEPTH).then(|| Self { depth, ..self }.gates(words))?
    }

    /// `c8 npm test`.
    fn coverage(self, options: &[&str]) -> Option<Vec<QualityGate>> {
        let at = wrappers::options_end(options, 0, &[]);
        let command = options.get(at..)?;
        match *command.first()? {
            "check-coverage" => Some(vec![Coverage]),
            "report" | "merge" | "instrument" => None,
            _ => {
                let mut gates = self.nested(command)?;
                gates.push(Coverage);
                Some(gates)
            }
        }
    }

    /// `python -m pytest`, `node --test`, `php vendor/bin/phpunit`, `python manage.py test`.
    fn interpreter(self, name: &str, options: &[&str]) -> Option<Vec<QualityGate>> {
        let valued = ["-W", "-X", "-r", "--require", "--import", "-d"];
        let at = wrappers::options_end(options, 0, &valued);
        let before = options.get(..at)?;
        if name == "python" {
            if let Some(at) = before.iter().position(|option| *option == "-m") {
                let module = options.get(at + 1..)?;
                return match *module.first()? {
                    "unittest" => Some(vec![Test]),
                    "build" => Some(vec![Build]),
                    _ => self.nested(module),
                };
            }
            if before.contains(&"-c") {
                return None;
            }
        }
        if name == "node" && before.contains(&"--test") {
            return Some(vec![Test]);
        }
        let (script, rest) = options.get(at..)?.split_first()?;
        match (&*program(script), rest.first()) {
            ("manage.py" | "artisan", Some(&"test")) => Some(vec![Test]),
            // `node node_modules/jest/bin/jest.js`.
            (file, _) => {
                let mut words = vec![file.strip_suffix(".js").unwrap_or(file)];
                words.extend(rest);
                self.nested(&words)
            }
        }
    }
}

/// Options whose value is the next word, where they stand before the subcommand.
const VALUED: &[&str] = &[
    "--manifest-path",
    "--color",
    "--config",
    "-C",
    "-Z",
    "--prefix",
    "--workspace",
    "-w",
    "-f",
    "--filter",
    "-F",
    "--dir",
    "--cwd",
    "--file",
    "--directory",
    "-p",
    "--project",
    "--project-dir",
    "--package",
    "-pl",
    "-x",
    "--exclude-task",
    "--tests",
];

/// The first word that is no option, and those after it.
pub(super) fn subcommand<'a, 'b>(options: &'b [&'a str]) -> Option<(&'a str, &'b [&'a str])> {
    let at = wrappers::options_end(options, 0, VALUED);
    let rest = options.get(at..)?;
    rest.split_first().map(|(first, rest)| (*first, rest))
}

/// Gates of tests, which also measure the coverage if an option says so.
pub(super) fn with_coverage(gate: QualityGate, options: &[&str]) -> Vec<QualityGate> {
    let measures = |option: &&str| {
        ["--cov", "-cover", "--coverage"].iter().any(|prefix| option.starts_with(prefix))
    };
    if options.iter().any(measures) { vec![gate, Coverage] } else { vec![gate] }
}

fn cargo(options: &[&str]) -> Option<Vec<QualityGate>> {
    let options = match options.split_first() {
        Some((first, rest)) if first.starts_with('+') => rest,
        _ => options,
    };
    let (command, rest) = subcommand(options)?;
    let next = subcommand(rest).map_or("", |(next, _)| next);
    match (command, next) {
        ("test" | "t", _) | ("nextest", "run" | "r") | ("miri", "test" | "nextest") => {
            Some(vec![Test])
        }
        ("clippy", _) => Some(vec![Lint]),
        ("fmt", _) => rest.contains(&"--check").then(|| vec![Lint]),
        ("check" | "c", _) => Some(vec![Typecheck]),
        ("build" | "b", _) => Some(vec![Build]),
        ("audit", _) | ("deny", "check") | ("vet", "" | "check") => Some(vec![Security]),
        ("tarpaulin", _) => Some(vec![Test, Coverage]),
        ("llvm-cov", "" | "nextest" | "test") => Some(vec![Test, Coverage]),
        _ => None,
    }
}

fn package_manager(name: &str, options: &[&str]) -> Option<Vec<QualityGate>> {
    let (command, rest) = subcommand(options)?;
    let next = subcommand(rest).map(|(next, _)| next);
    match (name, command, next) {
        // `yarn workspace app run test`, `yarn workspaces foreach run test`.
        ("yarn", "workspace" | "workspaces", _) => {
            let (command, rest) = subcommand(rest.get(1..)?)?;
            let script = if command == "run" { subcommand(rest)?.0 } else { command };
            targets::script(script).map(<[_]>::to_vec)
        }
        (_, "audit", Some("fix" | "signatures")) => None,
        (_, "audit", _) | ("yarn", "npm", Some("audit")) => Some(vec![Security]),
        (_, "run" | "run-script", Some(script)) => targets::script(script).map(<[_]>::to_vec),
        (_, "test" | "t" | "tst", _) => Some(with_coverage(Test, rest)),
        ("bun", "build", _) => Some(vec![Build]),
        // These run scripts, and tools, by their names alone.
        ("yarn" | "pnpm", _, _) => match targets::script(command) {
            Some(gates) => Some(gates.to_vec()),
            None => listed(command, rest),
        },
        _ => None,
    }
}

/// `make lint test`: a gate if all targets are.
fn build_tool(name: &str, options: &[&str]) -> Option<Vec<QualityGate>> {
    match name {
        "make" | "gmake" | "ninja" => {
            let is_dry = |option: &&str| matches!(*option, "-n" | "-q" | "--question" | "--recon");
            if options.iter().any(is_dry) {
                return None;
            }
            let gates = all(options, targets::make)?;
            Some(if gates.is_empty() { vec![Build] } else { gates })
        }
        // The default sessions of these run tests; named ones are read by their names.
        "tox" | "nox" => {
            let at = options.iter().position(|it| matches!(*it, "-e" | "-s" | "--session"));
            let Some(at) = at else { return Some(vec![Test]) };
            let session = options.get(at + 1)?;
            if session.starts_with("py")
                && session.as_bytes().get(2).is_some_and(u8::is_ascii_digit)
            {
                return Some(vec![Test]);
            }
            targets::script(session).map(<[_]>::to_vec)
        }
        _ => all(options, targets::make),
    }
}

/// The gates of all targets; `None` if one is unknown.
fn all(
    options: &[&str],
    gates_of: impl Fn(&str) -> Option<&'static [QualityGate]>,
) -> Option<Vec<QualityGate>> {
    let mut gates = Vec::new();
    let mut rest = options;
    while let Some((target, after)) = subcommand(rest) {
        rest = after;
        let is_number = target.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && !target.contains('=') {
            gates.extend_from_slice(gates_of(target)?);
        }
    }
    Some(gates)
}

/// The gates without tests, if an option leaves tests out.
fn run_tests(options: &[&str], mut gates: Vec<QualityGate>) -> Option<Vec<QualityGate>> {
    let is_left_out = |(at, option): (usize, &&str)| {
        let is_excluded = |task: &&str| task.rsplit(':').next() == Some("test");
        let is_exclusion = matches!(*option, "-x" | "--exclude-task");
        (is_exclusion && options.get(at + 1).is_some_and(is_excluded))
            || ["-DskipTests", "-Dmaven.test.skip"].iter().any(|it| option.starts_with(it))
    };
    if options.iter().enumerate().any(is_left_out) {
        gates.retain(|gate| *gate != Test);
    }
    Some(gates)
}

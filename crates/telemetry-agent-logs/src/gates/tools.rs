//! Tables of tools that are quality gates.

use telemetry_model::QualityGate;

use super::commands::{subcommand, with_coverage};

use QualityGate::{Build, Coverage, Lint, Security, Test, Typecheck};

/// Options of any tool that make it print something and stop.
const RUNS_NOTHING: &[&str] = &[
    "--help",
    "-h",
    "--version",
    "--no-run",
    "--collect-only",
    "--co",
    "--list",
    "--listTests",
    "--list-tests",
    "--dry-run",
    "--dry",
    "--just-print",
    "--print-config",
    "--showConfig",
    "--init",
    "--watch",
    "--watchAll",
    "--setup-plan",
    "--fixtures",
    "--markers",
    "--env-info",
    "-help",
];

/// True if an option makes the tool print something and stop.
pub(super) fn run_nothing(tool: &str, options: &[&str]) -> bool {
    let is_verbose = matches!(tool, "ctest" | "mvn" | "mvnw" | "mvnd");
    options.iter().any(|it| RUNS_NOTHING.contains(it) || *it == "-V" && !is_verbose)
}

/// Tools of which each use is a gate, or the one with this subcommand.
const LISTED: &[(&str, &str, QualityGate)] = &[
    ("actionlint", "", Lint),
    ("ansible-lint", "", Lint),
    ("ava", "", Test),
    ("bandit", "", Security),
    ("basedpyright", "", Typecheck),
    ("bazel", "build", Build),
    ("bazel", "test", Test),
    ("biome", "check", Lint),
    ("biome", "ci", Lint),
    ("biome", "lint", Lint),
    ("brakeman", "", Security),
    ("buf", "lint", Lint),
    ("bundle", "audit", Security),
    ("bundler-audit", "", Security),
    ("cabal", "build", Build),
    ("cabal", "test", Test),
    ("clang-tidy", "", Lint),
    ("coverage", "report", Coverage),
    ("cppcheck", "", Lint),
    ("ctest", "", Test),
    ("cypress", "run", Test),
    ("dart", "analyze", Lint),
    ("dart", "test", Test),
    ("deno", "check", Typecheck),
    ("deno", "lint", Lint),
    ("deno", "test", Test),
    ("docker", "build", Build),
    ("dotnet", "build", Build),
    ("dotnet", "test", Test),
    ("eslint", "", Lint),
    ("flake8", "", Lint),
    ("flutter", "analyze", Lint),
    ("flutter", "build", Build),
    ("flutter", "test", Test),
    ("gitleaks", "detect", Security),
    ("gitleaks", "dir", Security),
    ("go", "build", Build),
    ("go", "vet", Lint),
    ("golangci-lint", "run", Lint),
    ("gosec", "", Security),
    ("govulncheck", "", Security),
    ("hadolint", "", Lint),
    ("hatch", "test", Test),
    ("ktlint", "", Lint),
    ("markdownlint", "", Lint),
    ("markdownlint-cli2", "", Lint),
    ("meson", "compile", Build),
    ("meson", "test", Test),
    ("mix", "compile", Build),
    ("mix", "credo", Lint),
    ("mix", "dialyzer", Typecheck),
    ("mix", "test", Test),
    ("mocha", "", Test),
    ("msbuild", "", Build),
    ("mypy", "", Typecheck),
    ("oxlint", "", Lint),
    ("phpcs", "", Lint),
    ("phpstan", "analyse", Typecheck),
    ("phpstan", "analyze", Typecheck),
    ("pip-audit", "", Security),
    ("playwright", "test", Test),
    ("pre-commit", "run", Lint),
    ("psalm", "", Typecheck),
    ("pycodestyle", "", Lint),
    ("pydocstyle", "", Lint),
    ("pylint", "", Lint),
    ("pyright", "", Typecheck),
    ("pytype", "", Typecheck),
    ("rails", "test", Test),
    ("rubocop", "", Lint),
    ("ruff", "check", Lint),
    ("safety", "check", Security),
    ("safety", "scan", Security),
    ("sbt", "compile", Build),
    ("sbt", "test", Test),
    ("semgrep", "ci", Security),
    ("semgrep", "scan", Security),
    ("shellcheck", "", Lint),
    ("snyk", "test", Security),
    ("sqlfluff", "lint", Lint),
    ("stack", "build", Build),
    ("stack", "test", Test),
    ("standard", "", Lint),
    ("staticcheck", "", Lint),
    ("stylelint", "", Lint),
    ("svelte-check", "", Typecheck),
    ("swift", "build", Build),
    ("swift", "test", Test),
    ("swiftlint", "", Lint),
    ("tflint", "", Lint),
    ("trivy", "fs", Security),
    ("tsc", "", Typecheck),
    ("ty", "check", Typecheck),
    ("vue-tsc", "", Typecheck),
    ("xcodebuild", "build", Build),
    ("xcodebuild", "test", Test),
    ("xo", "", Lint),
    ("yamllint", "", Lint),
    ("zig", "build", Build),
    ("zig", "test", Test),
];

/// Formatters, which are gates if one of these options makes them change nothing.
const FORMATTERS: &[(&str, &str, &[&str])] = &[
    ("biome", "format", &[""]),
    ("black", "", &["--check"]),
    ("deno", "fmt", &["--check"]),
    ("dotnet", "format", &["--verify-no-changes"]),
    ("isort", "", &["--check", "--check-only", "-c"]),
    ("mix", "format", &["--check-formatted"]),
    ("prettier", "", &["--check", "-c", "--list-different", "-l"]),
    ("ruff", "format", &["--check"]),
    ("rustfmt", "", &["--check"]),
    ("terraform", "fmt", &["-check"]),
];

pub(super) fn listed(name: &str, options: &[&str]) -> Option<Vec<QualityGate>> {
    let sub = subcommand(options).map_or("", |(sub, _)| sub);
    let is_this =
        |tool: &str, command: &str| tool == name && (command.is_empty() || command == sub);
    match (name, sub) {
        ("go", "test") => {
            let is_compiled_only =
                options.iter().any(|option| matches!(*option, "-c" | "-list" | "-n"));
            return (!is_compiled_only).then(|| with_coverage(Test, options));
        }
        ("tsc", _) if options.iter().any(|option| matches!(*option, "-v" | "-w")) => return None,
        ("ctest", _) if options.iter().any(|it| matches!(*it, "-N" | "--show-only")) => {
            return None;
        }
        ("cmake", _) => return options.contains(&"--build").then(|| vec![Build]),
        _ => {}
    }
    let is_checked = FORMATTERS.iter().any(|(tool, command, checks)| {
        is_this(tool, command) && checks.iter().any(|it| it.is_empty() || options.contains(it))
    });
    if is_checked {
        return Some(vec![Lint]);
    }
    let (.., gate) = LISTED.iter().find(|(tool, command, _)| is_this(tool, command))?;
    Some(vec![gate.clone()])
}

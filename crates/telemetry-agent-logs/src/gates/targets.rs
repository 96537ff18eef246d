//! Names of scripts and targets: `npm run lint`, `make test`, `gradle :app:check`.

use telemetry_model::QualityGate;

use QualityGate::{Build, Coverage, Lint, Security, Test, Typecheck};

const NOTHING: &[QualityGate] = &[];
const BUILD: &[QualityGate] = &[Build];
const LINT: &[QualityGate] = &[Lint];
const TEST: &[QualityGate] = &[Test];
const TESTS_WITH_COVERAGE: &[QualityGate] = &[Test, Coverage];
const TYPECHECK: &[QualityGate] = &[Typecheck];
const SECURITY: &[QualityGate] = &[Security];

/// The gates of a script of a project, by the conventions of names; `None` for other names.
pub(super) fn script(name: &str) -> Option<&'static [QualityGate]> {
    let name = name.to_ascii_lowercase().replace([':', '_', '.', '/'], "-");
    let parts: Vec<_> = name.split('-').collect();
    // A watcher ends when it is interrupted.
    if parts.contains(&"watch") {
        return None;
    }
    if parts.iter().any(|part| matches!(*part, "coverage" | "cov")) {
        return Some(TESTS_WITH_COVERAGE);
    }
    match &*name {
        "typecheck" | "type-check" | "types" | "check-types" | "tsc" | "mypy" | "pyright"
        | "test-types" | "types-check" | "check-type" | "ts-check" | "check-ts" => Some(TYPECHECK),
        "format-check" | "check-format" | "fmt-check" | "check-fmt" | "prettier-check"
        | "test-lint" | "check-lint" | "style-check" | "check-style" | "formatting-check" => {
            Some(LINT)
        }
        _ => match *parts.first()? {
            "test" | "tests" | "unittest" | "unittests" | "unit" | "spec" | "pytest" => Some(TEST),
            "lint" | "linting" | "eslint" | "clippy" | "flake8" | "ruff" => Some(LINT),
            "build" | "compile" => Some(BUILD),
            "audit" | "security" => Some(SECURITY),
            _ => None,
        },
    }
}

/// The gates of a target of `make` and tools like it.
pub(super) fn make(name: &str) -> Option<&'static [QualityGate]> {
    match name {
        "clean" => Some(NOTHING),
        "all" => Some(BUILD),
        "check" => Some(TEST),
        _ => script(name),
    }
}

/// The gates of a task of Gradle, as `test`, `:app:lintDebug` or `build`.
pub(super) fn gradle(name: &str) -> Option<&'static [QualityGate]> {
    let name = name.rsplit(':').next().unwrap_or(name).to_ascii_lowercase();
    match &*name {
        "clean" => Some(NOTHING),
        "check" => Some(TEST),
        "build" | "assemble" | "classes" | "testclasses" | "jar" => Some(BUILD),
        "dependencycheckanalyze" => Some(SECURITY),
        name if name.starts_with("jacoco") => Some(TESTS_WITH_COVERAGE),
        name if name.starts_with("compile") || name.starts_with("assemble") => Some(BUILD),
        name if name.starts_with("test") || name.ends_with("test") => Some(TEST),
        name if ["lint", "detekt", "spotlesscheck", "checkstyle", "pmd", "spotbugs"]
            .iter()
            .any(|linter| name.contains(linter)) =>
        {
            Some(LINT)
        }
        _ => None,
    }
}

/// The gates of a phase or goal of Maven.
pub(super) fn maven(name: &str) -> Option<&'static [QualityGate]> {
    match name {
        "clean" => Some(NOTHING),
        "test" | "verify" | "integration-test" | "surefire:test" | "failsafe:verify" => Some(TEST),
        "compile" | "test-compile" | "package" | "install" => Some(BUILD),
        "jacoco:check" => Some(&[Coverage]),
        "checkstyle:check" | "spotless:check" | "pmd:check" | "spotbugs:check" => Some(LINT),
        "dependency-check:check" => Some(SECURITY),
        _ => None,
    }
}

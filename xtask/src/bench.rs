//! Runs the benchmarks of `tests/bench`.

use std::{fs, process::Stdio};

use crate::command::{cargo, exec, output};

const SECTIONS: [&str; 6] =
    ["hand-over", "queue", "delivery", "encoding", "start-stop", "embedding"];

/// The report is made of the files in this folder, one for each section.
const FIGURES: &str = "target/bench/figures";

/// Measures the sections, or all, and writes `docs/benchmarks.md`.
///
/// # Errors
///
/// A section fails or does not exist, or a file cannot be written.
pub(crate) fn run(sections: &[&str]) -> Result<(), String> {
    let sections = if sections.is_empty() { &SECTIONS } else { sections };
    let options =
        "--release --locked --manifest-path tests/bench/Cargo.toml --target-dir target/bench";
    let bench = format!("run --quiet {options} --bin bench --");
    exec(cargo(format!("build {options} --bins")))?;
    fs::create_dir_all(FIGURES).map_err(|error| format!("{FIGURES}: {error}"))?;
    for section in sections {
        println!("{section}");
        let figures = output(cargo(format!("{bench} {section}")).stderr(Stdio::inherit()))?;
        let path = format!("{FIGURES}/{section}.jsonl");
        fs::write(&path, figures).map_err(|error| format!("{path}: {error}"))?;
    }
    exec(cargo(format!("{bench} report {}", sections.join(" "))))
}

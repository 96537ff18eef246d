//! Writes what was measured into `docs/`, and says which targets are held.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use crate::{Failure, figure::Figure, root, targets::TARGETS};

pub use self::{
    figures::{Figures, Run},
    machine::Machine,
};

mod bars;
mod curves;
mod figures;
mod machine;
mod numbers;
mod page;
mod svg;
mod table;
mod verdicts;

/// The sections, in the order of the page.
pub const SECTIONS: [&str; 6] =
    ["hand-over", "queue", "delivery", "encoding", "start-stop", "embedding"];

const JSON: &str = "docs/benchmarks.json";
const PAGE: &str = "docs/benchmarks.md";

/// The case and the subject of ours that the others are compared with; the case is empty where it is
/// the other's own.
#[must_use]
pub fn reference(section: &str) -> (&'static str, &'static str) {
    match section {
        "queue" => ("", "telemetry-queue"),
        "delivery" | "start-stop" => ("", "mosaicstack-telemetry, ureq"),
        "embedding" => ("usual", "mosaicstack-telemetry, default"),
        _ => ("", "mosaicstack-telemetry"),
    }
}

/// Writes `docs/benchmarks.md`, `.json` and the plots, with the figures in `target/bench/figures` for
/// the sections that were measured and those in `docs/benchmarks.json` for the others; prints what
/// became of the targets.
///
/// # Errors
///
/// A file cannot be read or written, or every section was measured and a figure that a target takes
/// is still missing.
pub fn run(measured: &[&str]) -> Result<(), Failure> {
    let root = root();
    let mut figures = match fs::read_to_string(root.join(JSON)) {
        Ok(json) => Figures::parse(&json).map_err(|error| format!("{JSON}: {error}"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Figures::default(),
        Err(error) => return Err(format!("{JSON}: {error}").into()),
    };
    let machine = Machine::here();
    for section in measured {
        let path = root.join(format!("target/bench/figures/{section}.jsonl"));
        let found = read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        figures.replace(section, Run { machine: machine.clone(), figures: found });
    }
    let page = fs::read_to_string(root.join(PAGE)).map_err(|error| format!("{PAGE}: {error}"))?;
    write(&root, PAGE, &page::written_into(&page, &figures)?)?;
    write(&root, JSON, &figures.to_json()?)?;
    for (name, plot) in page::plots(&figures) {
        write(&root, &format!("docs/{name}"), &plot)?;
    }
    io::stdout().write_all(verdicts::summary(&figures).as_bytes())?;
    let missing = TARGETS.iter().filter(|it| it.judge(&figures).is_none()).count();
    if missing > 0 && SECTIONS.iter().all(|section| measured.contains(section)) {
        return Err(format!("{missing} targets lack figures").into());
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Figure>, Failure> {
    let lines = fs::read_to_string(path)?;
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn write(root: &Path, path: &str, text: &str) -> Result<(), String> {
    fs::write(root.join(path), text).map_err(|error| format!("{path}: {error}"))
}

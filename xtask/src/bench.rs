//! `cargo xtask bench`: the SDK beside its peers, measured, and the report of it.

use std::fs;
use std::path::Path;

use crate::cargo::{Cargo, cargo};

/// Each section. `hand-over` also runs the program `allocations`, which lies beside `bench`.
const SECTIONS: [&str; 6] =
    ["hand-over", "queue", "delivery", "encoding", "start-stop", "embedding"];

const OPTIONS: &str = "--release --locked --manifest-path tests/bench/Cargo.toml";

/// The target directory: nobody else builds the peers.
const FOLDER: &str = "target/bench";

/// Where the figures of each section are left for the report.
const FIGURES: &str = "target/bench/figures";

/// Measures the named sections, or all if none is named, whatever fails, then writes the report;
/// returns whether all of it could be done. Timings are no gate.
///
/// With `--list` the commands are printed instead. Fails if a section is unknown, or figures cannot
/// be written.
pub(crate) fn run(root: &Path, args: &[&str]) -> Result<bool, String> {
    let (options, names): (Vec<&str>, Vec<&str>) = args.iter().partition(|&&arg| arg == "--list");
    let sections = select(&names)?;
    let build = cargo(format!("build {OPTIONS} --bins --target-dir {FOLDER}"));
    if !options.is_empty() {
        println!("{build}");
        sections.iter().for_each(|section| println!("{}", bench(section)));
        println!("{}", report(&sections));
        return Ok(true);
    }
    if !build.passes(root) {
        return Ok(false);
    }
    let mut measured = Vec::new();
    for &section in &sections {
        println!("\n[{section}]");
        if measure(root, section)? {
            measured.push(section);
        }
    }
    println!("\n[report]");
    let is_reported = report(&measured).passes(root);
    Ok(is_reported && measured.len() == sections.len())
}

fn select(names: &[&str]) -> Result<Vec<&'static str>, String> {
    if let Some(unknown) = names.iter().find(|name| !SECTIONS.contains(name)) {
        return Err(format!("no such section: {unknown}; there are: {}", SECTIONS.join(" ")));
    }
    let is_named = |name: &&str| names.is_empty() || names.contains(name);
    Ok(SECTIONS.into_iter().filter(is_named).collect())
}

fn report(measured: &[&str]) -> Cargo {
    bench(&[&["report"], measured].concat().join(" "))
}

fn bench(arguments: &str) -> Cargo {
    cargo(format!("run --quiet {OPTIONS} --target-dir {FOLDER} --bin bench -- {arguments}"))
}

/// Leaves what a section prints in a file of [`FIGURES`], and returns whether it succeeded; if not,
/// what was there before stays.
fn measure(root: &Path, section: &str) -> Result<bool, String> {
    let program = bench(section);
    println!("{program}");
    let lines = match program.output(root) {
        Ok(lines) => lines,
        Err(error) => {
            eprintln!("{error}");
            return Ok(false);
        }
    };
    let path = format!("{FIGURES}/{section}.jsonl");
    fs::create_dir_all(root.join(FIGURES))
        .and_then(|()| fs::write(root.join(&path), lines))
        .map_err(|error| format!("cannot write {path}: {error}"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_the_named_sections_in_their_order_and_all_by_default() {
        assert_eq!(select(&["queue", "hand-over"]).unwrap(), ["hand-over", "queue"]);
        assert_eq!(select(&[]).unwrap(), SECTIONS);
        let error = select(&["queues"]).unwrap_err();
        assert!(error.starts_with("no such section: queues; there are: hand-over "), "{error}");
    }

    #[test]
    fn a_section_is_a_program_and_the_report_knows_which_ran() {
        let program = "cargo run --quiet --release --locked --manifest-path tests/bench/Cargo.toml \
                       --target-dir target/bench --bin bench --";
        assert_eq!(bench("hand-over").to_string(), format!("{program} hand-over"));
        let report = report(&["queue", "delivery"]).to_string();
        assert_eq!(report, format!("{program} report queue delivery"));
    }

    #[test]
    fn the_page_has_a_place_for_each_section() {
        let page = fs::read_to_string(crate::tree::root().join("docs/benchmarks.md")).unwrap();
        for name in SECTIONS {
            assert!(page.contains(&format!("<!-- {name}:begin -->")), "{name}");
        }
    }
}

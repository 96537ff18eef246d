//! `cargo xtask bench`: the SDK beside its peers, measured, and the report of it.

use std::fs;
use std::path::Path;

use crate::cargo::{Cargo, cargo};

/// Each section, and the programs of `tests/bench` that measure it, with their arguments.
const SECTIONS: [(&str, &[&str]); 6] = [
    ("hand-over", &["bench -- hand-over", "bench -- instructions", "allocations"]),
    ("queue", &["bench -- queue"]),
    ("delivery", &["bench -- delivery"]),
    ("encoding", &["bench -- encoding"]),
    ("start-stop", &["bench -- start-stop"]),
    ("embedding", &["bench -- embedding"]),
];

const OPTIONS: &str = "--release --locked --manifest-path tests/bench/Cargo.toml";

/// The target directory: nobody else builds the peers.
const FOLDER: &str = "target/bench";

/// Where the figures of each section are left for the report.
const FIGURES: &str = "target/bench/figures";

struct Section {
    name: &'static str,
    programs: Vec<Cargo>,
}

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
        sections.iter().flat_map(|it| &it.programs).for_each(|program| println!("{program}"));
        println!("{}", report(sections.iter().map(|it| it.name)));
        return Ok(true);
    }
    if !build.passes(root) {
        return Ok(false);
    }
    let mut measured = Vec::new();
    for section in &sections {
        println!("\n[{}]", section.name);
        if section.measure(root)? {
            measured.push(section.name);
        }
    }
    println!("\n[report]");
    let is_reported = report(measured.iter().copied()).passes(root);
    Ok(is_reported && measured.len() == sections.len())
}

fn select(names: &[&str]) -> Result<Vec<Section>, String> {
    let known = SECTIONS.map(|(name, _)| name);
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("no such section: {unknown}; there are: {}", known.join(" ")));
    }
    let named = SECTIONS.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
    let section = |&(name, programs): &(&'static str, &[&str])| Section {
        name,
        programs: programs.iter().map(|program| run_of(program)).collect(),
    };
    Ok(named.map(section).collect())
}

fn report<'a>(measured: impl Iterator<Item = &'a str>) -> Cargo {
    let names = measured.map(|name| format!(" {name}")).collect::<String>();
    run_of(&format!("bench -- report{names}"))
}

fn run_of(program: &str) -> Cargo {
    // What `program` begins with is its name, then come its arguments.
    cargo(format!("run --quiet {OPTIONS} --target-dir {FOLDER} --bin {program}"))
}

impl Section {
    /// Leaves what the programs print in a file of [`FIGURES`], and returns whether all succeeded; if
    /// not, what was there before stays.
    fn measure(&self, root: &Path) -> Result<bool, String> {
        let mut lines = String::new();
        for program in &self.programs {
            println!("{program}");
            match program.output(root) {
                Ok(output) => lines.push_str(&output),
                Err(error) => {
                    eprintln!("{error}");
                    return Ok(false);
                }
            }
        }
        let path = format!("{FIGURES}/{}.jsonl", self.name);
        fs::create_dir_all(root.join(FIGURES))
            .and_then(|()| fs::write(root.join(&path), lines))
            .map_err(|error| format!("cannot write {path}: {error}"))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_the_named_sections_in_their_order_and_all_by_default() {
        let named = |names: &[&str]| -> Vec<_> {
            select(names).unwrap().into_iter().map(|it| it.name).collect()
        };
        assert_eq!(named(&["queue", "hand-over"]), ["hand-over", "queue"]);
        assert_eq!(named(&[]).len(), SECTIONS.len());
        let error = select(&["queues"]).err().unwrap();
        assert!(error.starts_with("no such section: queues; there are: hand-over "), "{error}");
    }

    #[test]
    fn a_section_runs_its_programs_and_the_report_knows_which_ran() {
        let options = "--quiet --release --locked --manifest-path tests/bench/Cargo.toml \
                       --target-dir target/bench";
        let programs = &select(&["hand-over"]).unwrap()[0].programs;
        assert_eq!(
            programs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                format!("cargo run {options} --bin bench -- hand-over"),
                format!("cargo run {options} --bin bench -- instructions"),
                format!("cargo run {options} --bin allocations"),
            ]
        );
        assert_eq!(
            report(["queue", "delivery"].into_iter()).to_string(),
            format!("cargo run {options} --bin bench -- report queue delivery")
        );
    }

    #[test]
    fn the_page_has_a_place_for_each_section() {
        let page = fs::read_to_string(crate::tree::root().join("docs/benchmarks.md")).unwrap();
        for (name, _) in SECTIONS {
            assert!(page.contains(&format!("<!-- {name}:begin -->")), "{name}");
        }
    }
}

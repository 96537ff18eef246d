//! Runs fleets of clients through an outage, and writes `docs/reliability.md` and `docs/outage.svg`.
//!
//! With `--check`, compares them instead. Either way it fails if the fleets are not as promised.

use std::{env, fs, path::Path, process::ExitCode};

use telemetry_tests::{evidence, fleet::Page};

fn main() -> ExitCode {
    let is_check = match env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => return failed(&[format!("expected --check or nothing, found {other}")]),
    };
    let page = Page::run();
    let mut faults = page.faults();
    faults.extend(publish(&page, is_check).err());
    if faults.is_empty() {
        evidence::tried("R9", format_args!("{}", page.tried()));
        return ExitCode::SUCCESS;
    }
    failed(&faults)
}

fn publish(page: &Page, is_check: bool) -> Result<(), String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let read = |name: &str| {
        let path = docs.join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let text = page.written_into(&read("reliability.md")?)?;
    for (name, new) in [("reliability.md", text), ("outage.svg", page.plot())] {
        if !is_check {
            fs::write(docs.join(name), new).map_err(|error| format!("docs/{name}: {error}"))?;
        } else if read(name)? != new {
            return Err(format!("docs/{name} is out of date: run `cargo xtask outage`"));
        }
    }
    Ok(())
}

fn failed(faults: &[String]) -> ExitCode {
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    ExitCode::FAILURE
}

//! Benchmarks of the SDK and of its peers: the sections of `cargo xtask bench`.

mod calls;
mod child;
mod clients;
mod collector;
mod delivery;
mod embedding;
mod encoding;
mod events;
mod figures;
mod hand_over;
mod queue;
mod scans;
mod sink;
mod spool;
mod start_stop;
mod targets;
mod usage;

use std::env;

use self::figures::Figures;
pub use self::{
    hand_over::{Allocated, Allocator, print_allocations},
    spool::{hook_config, hook_database, hook_event},
};

/// Any error that ends a measurement.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The result of a measurement.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

type Section = fn() -> Result<Figures>;

/// The sections, with the contender that the others are compared with.
const SECTIONS: [(&str, &str, Section); 9] = [
    ("hand-over", "mosaicstack-telemetry", hand_over::measure),
    ("queue", "telemetry-queue", queue::measure),
    ("delivery", "mosaicstack-telemetry, ureq", delivery::measure),
    ("encoding", "mosaicstack-telemetry", encoding::measure),
    ("start-stop", "mosaicstack-telemetry, ureq", start_stop::measure),
    ("spool", "hello world", spool::measure),
    ("scans", "mosaic-telemetry", scans::measure),
    ("collector", collector::COLLECTOR, collector::measure),
    ("embedding", "mosaicstack-telemetry, default and ring", embedding::measure),
];

/// Measures the sections named on the command line, or all of them, and prints their tables.
///
/// The names `sink` and `*-child` are for the processes that a section starts.
///
/// # Errors
///
/// Fails if an argument is unknown, or a section cannot be measured.
pub fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["sink"] => sink::run(),
        ["delivery-child", exporter, port] => {
            child::answer(&delivery::child(exporter, port.parse()?)?)
        }
        ["idle-child", exporter, port, interval] => {
            child::answer(&start_stop::idle_child(exporter, port.parse()?, interval.parse()?)?)
        }
        ["scan-child", program] => child::answer(&scans::child(program)?),
        ["collector-child", file] => collector::serve_plain(file),
        ["step-child", contender, case] => hand_over::step_child(contender, case),
        ["start-stop-child", port] => child::answer(&start_stop::child(port.parse()?)?),
        _ => sections(&arguments),
    }
}

fn sections(names: &[&str]) -> Result<()> {
    if let Some(name) = names.iter().find(|name| !SECTIONS.iter().any(|it| it.0 == **name)) {
        let known = SECTIONS.map(|it| it.0).join(" ");
        return Err(format!("unknown section {name}, expected one of: {known}").into());
    }
    for (section, reference, measure) in SECTIONS {
        if names.is_empty() || names.contains(&section) {
            eprintln!("measuring {section}");
            let figures = measure().map_err(|error| format!("{section}: {error}"))?;
            print!("{section}\n\n{}", figures.tables(reference));
            print!("{}", targets::table(section, &figures));
        }
    }
    Ok(())
}

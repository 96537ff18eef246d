//! `bench SECTION` measures a section and prints its figures, a line of JSON each.

use std::process::ExitCode;

fn main() -> ExitCode {
    let section = std::env::args().nth(1).unwrap_or_default();
    eprintln!("no such section: {section}");
    ExitCode::from(2)
}

//! Development tasks of this workspace; `cargo xtask help` lists them.
#![expect(clippy::print_stdout, reason = "a command-line tool prints to standard output")]

use std::{env, path::Path, process::ExitCode};

mod advisories;
mod bench;
mod ci;
mod command;
mod downstream;
mod fuzz;
mod lockfile;
mod modules;
mod packages;
mod steps;
mod verify;

const HELP: &str = "\
cargo xtask ci [STEP..]             run the checks that a change has to pass, except `cargo test --workspace`
cargo xtask verify [CHECK..]        run the long checks: stress, faults, fuzzing, sanitizers (about 30 minutes)
cargo xtask fuzz [--seconds N] [TARGET..]  fuzz with libFuzzer, 12 s a target unless N is given
cargo xtask bench [SECTION..]       run the benchmarks and print their tables
cargo xtask outage                  simulate outages and print the table of docs/reliability.md
cargo xtask downstream [--bless]    compare the dependencies of tests/downstream with their lists, or update the lists
";

/// Exits with 0 on success, 1 if a check failed, 2 if the arguments are invalid.
fn main() -> ExitCode {
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("xtask is run by `cargo xtask`");
    let root = Path::new(&package).parent().expect("the package is in a folder of the workspace");
    env::set_current_dir(root).expect("the workspace exists");

    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let passed = match args.as_slice() {
        ["bench", sections @ ..] => bench::run(sections),
        ["ci", names @ ..] => ci::run(names),
        ["downstream"] => downstream::check_lists(),
        ["downstream", "--bless"] => downstream::bless(),
        ["fuzz", "--seconds", seconds, targets @ ..] => fuzz::run(seconds, targets),
        ["fuzz", targets @ ..] => fuzz::run(fuzz::SECONDS, targets),
        ["outage"] => command::exec(verify::outage()),
        ["verify", names @ ..] => verify::run(names),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("unknown arguments: {}\n{HELP}", args.join(" "));
            return ExitCode::from(2);
        }
    };
    match passed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

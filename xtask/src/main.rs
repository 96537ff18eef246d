//! The workspace's own tooling: `cargo xtask help` says what it does.
#![expect(clippy::print_stdout, reason = "printing is what a command-line tool is for")]

use std::env;
use std::process::ExitCode;

mod bench;
mod cargo;
mod checkers;
mod ci;
mod downstream;
mod evidence;
mod features;
mod fuzz;
mod manifest;
mod outage;
mod tidy;
mod tree;

const HELP: &str = "\
cargo xtask ci                  run every check a change has to pass
cargo xtask ci STEP...          run only these steps
cargo xtask ci --list [STEP..]  print the commands instead of running them
cargo xtask bench               measure the SDK beside its peers, and write docs/benchmarks.md
cargo xtask bench SECTION...    measure only these sections, and keep the other figures
cargo xtask bench --list        print the commands instead of running them
cargo xtask downstream          compare what the crates of tests/downstream depend on with their lists
cargo xtask downstream --bless  write these lists, and the lock files, anew
cargo xtask evidence            show what takes a special build or minutes (up to 20), in a table
cargo xtask evidence NAME...    show only these exhibits
cargo xtask evidence --list     print the commands instead of running them
cargo xtask helgrind            say why valgrind's race detectors are of no use here
cargo xtask miri                interpret tests of the queue and the model under Miri
cargo xtask tsan                run the stress test of the queue under the thread sanitizer
cargo xtask outage              simulate outages, and write what becomes of them into docs/reliability.md
cargo xtask outage --check      compare with it instead
cargo xtask fuzz                look for inputs that break what reads other people's text
cargo xtask fuzz TARGET...      look only at these targets
cargo xtask fuzz --seconds N [TARGET..]  look for N seconds at each
cargo xtask tidy                check the architecture, the prose and the sources
cargo xtask help                print this
";

/// Exits with 0 if all is well, 1 if a check failed, 2 if the arguments or the workspace cannot be
/// read.
fn main() -> ExitCode {
    let root = tree::root();
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let passed = match args.as_slice() {
        ["bench", args @ ..] => bench::run(&root, args),
        ["ci", args @ ..] => ci::run(&root, args),
        ["downstream", args @ ..] => downstream::run(&root, args),
        ["evidence", args @ ..] => evidence::run(&root, args),
        ["helgrind"] => Ok(checkers::run(&root, &checkers::helgrind())),
        ["miri"] => Ok(checkers::run(&root, &checkers::miri())),
        ["outage"] => Ok(outage::command("").passes(&root)),
        ["outage", "--check"] => Ok(outage::command("--check").passes(&root)),
        ["fuzz", args @ ..] => fuzz::run(&root, args),
        ["tidy"] => tidy::run(&root),
        ["tsan"] => Ok(checkers::run(&root, &checkers::tsan())),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(true)
        }
        _ => Err(format!("unknown arguments: {}\n{HELP}", args.join(" "))),
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(2)
        }
    }
}

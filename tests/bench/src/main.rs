//! `bench SECTION` measures a section and prints its figures, a line of JSON each; `bench report
//! SECTION...` writes the report, those sections being the ones that were measured.

use std::{env, error::Error, io, process::ExitCode};

use telemetry_bench::{embedding, report};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<(), Box<dyn Error>> {
    match args {
        ["embedding"] => embedding::run(|figure| figure.print(io::stdout())),
        ["report", measured @ ..] => report::run(measured),
        _ => Err(format!("no such section: {}", args.join(" ")).into()),
    }
}

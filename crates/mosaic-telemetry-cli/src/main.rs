//! Reports what coding agents did, from their logs, to a Mosaic Stack Telemetry server.

mod cli;
mod collector;
mod config;
mod error;
mod files;
mod hook;
mod ledger;
mod predict;
mod progress;
mod report;
mod rows;
mod scan;
mod settings;
mod status;
mod validate;
mod when;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use crate::{
    cli::{Cli, Command},
    error::Error,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let result = run(&cli, &mut out).and_then(|()| Ok(out.flush()?));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // As `| head` does.
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn run(cli: &Cli, out: &mut dyn Write) -> Result<(), Error> {
    let flags = &cli.flags;
    match &cli.command {
        Command::Scan(arguments) => scan::run(arguments, flags, out),
        Command::Report(arguments) => report::run(arguments, flags, out),
        Command::Hook(arguments) => hook::run(arguments, flags, out),
        Command::Predict(arguments) => predict::run(arguments, flags, out),
        Command::Flush(arguments) => report::run_flush(arguments, flags, out),
        Command::Status(arguments) => status::run(arguments, flags, out),
        Command::Config(arguments) => config::run(arguments, flags, out),
        Command::Collector { arguments } => collector::run(arguments),
        Command::Validate(arguments) => validate::run(arguments, out),
        Command::Man { folder } => clap_mangen::generate_to(Cli::command(), folder)
            .map_err(|error| Error::file("write to", folder, &error)),
        Command::Completions { shell } => {
            // In memory first: it panics if it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "mosaic-telemetry", &mut script);
            Ok(out.write_all(&script)?)
        }
    }
}

//! `bench SECTION` measures a section and prints its figures, a line of JSON each.

use std::{env, error::Error, io, process::ExitCode};

use telemetry_bench::{figure::Figure, hand_over, queue};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["hand-over"] => hand_over::run(print),
        ["queue"] => queue::run(print),
        // A part of `hand-over` alone, for a machine that is too busy for the rest.
        ["instructions"] => hand_over::instructions(print),
        // What counts them starts this, once for each subject and case.
        ["instructions-child", subject, case] => {
            hand_over::child(subject, case).map_err(Into::into)
        }
        _ => Err(format!("no such section: {}", arguments.join(" ")).into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn print(figure: Figure) -> Result<(), Box<dyn Error>> {
    Ok(figure.print(io::stdout())?)
}

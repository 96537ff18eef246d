//! `bench SECTION` measures a section and prints its figures, a line of JSON each; `bench report
//! SECTION...` writes the report, those sections being the ones that were measured.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use telemetry_bench::{
    Failure, delivery, embedding, encoding, figure::Figure, hand_over, queue, report, sink,
    start_stop,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench {}: {failure}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Failure> {
    match arguments {
        ["delivery"] => print(&delivery::measure()?),
        ["delivery-child", subject, port] => say(&delivery::child(subject, port.parse()?)?),
        ["hand-over"] => hand_over::run(stream),
        // A part of `hand-over` alone, for a machine that is too busy for the rest.
        ["instructions"] => hand_over::instructions(stream),
        // What counts them starts this, once for each subject and case.
        ["instructions-child", subject, case] => Ok(hand_over::child(subject, case)?),
        ["queue"] => queue::run(stream),
        ["embedding"] => Ok(embedding::run(|figure| figure.print(io::stdout()))?),
        ["encoding"] => print(&encoding::measure()?),
        ["report", measured @ ..] => Ok(report::run(measured)?),
        ["sink"] => sink::run(),
        ["start-stop"] => print(&start_stop::measure()?),
        ["start-stop-child", port] => print(&start_stop::child(port.parse()?)?),
        ["idle-child", subject, port, interval] => {
            say(&start_stop::idle::child(subject, port.parse()?, interval.parse()?)?)
        }
        _ => Err("no such section, nor anything else that this program does".into()),
    }
}

fn print(figures: &[Figure]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    figures.iter().try_for_each(|figure| figure.print(&mut out)).map_err(Failure::from)
}

fn stream(figure: Figure) -> Result<(), Failure> {
    Ok(figure.print(io::stdout())?)
}

/// Says something to the parent process, on a line.
fn say(result: &impl serde::Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, result)?;
    Ok(out.write_all(b"\n")?)
}

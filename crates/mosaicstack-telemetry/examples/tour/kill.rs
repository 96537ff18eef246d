//! `--kill`: the reporting process is killed in the middle, and another one delivers the rest from the spool.

use std::{
    env,
    error::Error,
    fs,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    process::{self, Command, Stdio},
    thread,
};

use mosaicstack_telemetry::{TelemetryClient, TelemetryConfig, spool};
use telemetry_collector::{Collector, FaultRule, ResponseTemplate};

use crate::{DEADLINE, runs::Run, screen::line};

/// The parts of the two processes, as arguments.
pub(crate) const REPORT: &str = "--report-until-killed";
pub(crate) const DELIVER: &str = "--deliver";

/// Requests that are answered before the server is busy.
const ANSWERED: u64 = 4;

/// Returns `true` if the collector has each event once.
pub(crate) fn kill(runs: usize) -> Result<bool, Box<dyn Error>> {
    let collector = Collector::start()?;
    collector.fault(FaultRule::new(ResponseTemplate::status(503)).skip(ANSWERED));
    let folder = env::temp_dir().join(format!("tour-spool-{}", process::id()));
    let result = kill_with(&collector, &folder, runs);
    fs::remove_dir_all(folder)?;
    result
}

fn kill_with(collector: &Collector, folder: &Path, runs: usize) -> Result<bool, Box<dyn Error>> {
    line(format!("{runs} agent runs, reported to {} with a spool", collector.url()));
    let mut reporter =
        program(REPORT, collector, folder)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut written = String::new();
    if let Some(output) = reporter.stdout.take() {
        BufReader::new(output).read_line(&mut written)?;
    }
    collector.wait_for(DEADLINE, |totals| totals.requests > ANSWERED);
    reporter.kill()?;
    reporter.wait()?;
    let held = collector.totals().held;
    line(format!("killed the reporting process, the collector has {held} events"));

    collector.clear_faults();
    let output = program(DELIVER, collector, folder)?.output()?;
    line(format!("next process: {}", String::from_utf8_lossy(&output.stdout).trim_end()));
    let totals = collector.totals();
    line(format!(
        "the collector has {} events, each once; {} arrived twice",
        totals.held, totals.duplicates
    ));
    Ok(totals.held == runs as u64 && held < totals.held)
}

/// This program, for a part of the job.
fn program(part: &str, collector: &Collector, folder: &Path) -> io::Result<Command> {
    let mut program = Command::new(env::current_exe()?);
    program
        .arg(part)
        .env("MOSAIC_TELEMETRY_SERVER_URL", collector.url())
        .env("MOSAIC_TELEMETRY_API_KEY", "a".repeat(64))
        .env("MOSAIC_TELEMETRY_INSTANCE_ID", "12345678-1234-1234-1234-123456789abc")
        .env("MOSAIC_TELEMETRY_SPOOL_DIR", folder);
    Ok(program)
}

/// Tracks all runs, prints a line when they are in the spool or delivered, and waits for its end.
pub(crate) fn report(runs: &[Run]) -> Result<bool, Box<dyn Error>> {
    let client = TelemetryClient::start(TelemetryConfig::from_env()?);
    for run in runs {
        client.track(run.event(client.event()));
    }
    while client.stats().pending > 0 {
        thread::yield_now();
    }
    line("written");
    let _ = io::stdin().read(&mut [0]);
    Ok(false)
}

/// Delivers what the spool holds.
pub(crate) fn deliver() -> Result<bool, Box<dyn Error>> {
    let stats = spool::flush(&TelemetryConfig::from_env()?, DEADLINE)?;
    line(format!("recovered {}, delivered {}", stats.recovered, stats.delivered));
    Ok(stats.recovered == stats.delivered)
}

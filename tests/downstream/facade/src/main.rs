//! A command-line tool that reports a task to the server that the environment names.
//!
//! ```text
//! facade [MODEL [OUTCOME [SECONDS]]]
//! ```
//!
//! It takes `MOSAIC_TELEMETRY_SERVER_URL`, `_API_KEY` and `_INSTANCE_ID`, or
//! `MOSAIC_TELEMETRY_ENABLED=false`. Exit code: 0 if nothing is pending, 1 if the event is, 2 if it
//! could not begin. `tests/report.rs` runs it against a collector.

use std::{env, error::Error, process::ExitCode, time::Duration};

use mosaicstack_telemetry::{Harness, Outcome, TaskType, TelemetryClient, TelemetryConfig};

fn main() -> ExitCode {
    match report() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Reports the task of the arguments and returns how many events are pending.
fn report() -> Result<u64, Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let model = args.next().unwrap_or_else(|| "unknown".into());
    let outcome = args.next().map_or(Outcome::Success, Outcome::from);
    let seconds = args.next().map_or(Ok(0), |it| it.parse()).map_err(|_| "expected SECONDS")?;

    let client = TelemetryClient::start(TelemetryConfig::from_env()?);
    client.track(
        client
            .event()
            .task_type(TaskType::Implementation)
            .harness(Harness::from("facade"))
            .model(model)
            .outcome(outcome)
            .duration(Duration::from_secs(seconds))
            .build(),
    );

    let stats = client.stop(); // within 5 seconds
    println!("{stats}");
    if stats.pending > 0 {
        eprintln!("the server did not take the event: {:?}", stats.health);
    }
    Ok(stats.pending)
}

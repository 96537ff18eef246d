//! A command-line tool that reports a task to the server configured in the environment.
//!
//! ```text
//! facade [MODEL [OUTCOME [SECONDS]]]
//! ```
//!
//! It needs `MOSAIC_TELEMETRY_SERVER_URL`, `_API_KEY` and `_INSTANCE_ID`, or
//! `MOSAIC_TELEMETRY_ENABLED=false`. Exits with 0 if the event was delivered or telemetry is disabled,
//! 1 if the event is pending, 2 on invalid arguments or configuration.

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

/// Reports the task and returns the number of pending events.
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
        eprintln!("the event was not delivered: {:?}", stats.health);
    }
    Ok(stats.pending)
}

//! Reports 800 real coding-agent runs to a collector over HTTP, then requests predictions.
//!
//! ```text
//! cargo run --example tour              # starts a collector in this process
//! cargo run --example tour -- --keep    # leaves the collector up, with its page
//! cargo run --example tour -- FILE      # other runs, in the format of data/README.md
//! cargo run --example tour --features spool -- --kill    # kills the process in the middle
//! ```
//!
//! If `MOSAIC_TELEMETRY_SERVER_URL` is set, reports to the server from the environment, for example
//! one started by `cargo run -p telemetry-collector`.
//!
//! Exit code: 0 if all events were delivered, 1 if not, 2 for an invalid configuration or file.

#[cfg(feature = "spool")]
#[path = "tour/kill.rs"]
mod kill;
#[path = "tour/runs.rs"]
mod runs;
#[path = "tour/screen.rs"]
mod screen;

use std::{env, error::Error, fs, io, process::ExitCode, time::Duration};

use mosaicstack_telemetry::{
    Complexity, PredictionQuery, TaskType, TelemetryClient, TelemetryConfig,
    transport::{Request, Transport, UreqTransport},
};
use telemetry_collector::Collector;

use self::{runs::Run, screen::line};

const RUNS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/swe-bench-pro-runs.jsonl");

const SERVER_URL: &str = "MOSAIC_TELEMETRY_SERVER_URL";

/// The option that leaves the collector up.
const KEEP: &str = "--keep";

/// Maximum time for the delivery of all events.
const DEADLINE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match tour() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Returns `true` if all events were delivered.
fn tour() -> Result<bool, Box<dyn Error>> {
    let argument = env::args().nth(1).unwrap_or_default();
    let path = if argument.is_empty() || argument.starts_with("--") { RUNS } else { &argument };
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let (runs, errors) = runs::parse(&text);
    errors.iter().for_each(|error| eprintln!("{error}, skipped"));
    if runs.is_empty() {
        return Err(format!("{path} contains no valid runs").into());
    }
    match argument.as_str() {
        #[cfg(feature = "spool")]
        "--kill" => return kill::kill(runs.len()),
        #[cfg(feature = "spool")]
        kill::REPORT => return kill::report(&runs),
        #[cfg(feature = "spool")]
        kill::DELIVER => return kill::deliver(),
        KEEP if env::var_os(SERVER_URL).is_some() => {
            return Err(format!("{KEEP} needs the tour's own collector: unset {SERVER_URL}").into());
        }
        KEEP => {}
        option if option.starts_with("--") => {
            return Err(format!("unknown option {option}, or the feature `spool` is off").into());
        }
        _ => {}
    }
    let (config, collector) = configuration(runs.len())?;
    let server = config.server_url().map(ToString::to_string).unwrap_or_default();
    line(format!("{} agent runs, reported to {server}", runs.len()));

    let client = TelemetryClient::start(config);
    for run in &runs {
        client.track(run.event(client.event()));
    }
    // Undelivered events show in the counters.
    let _ = client.flush(DEADLINE);
    let mut queries = queries(&runs);
    if client.stats().pending > 0 {
        queries.clear();
    }
    let answers = client.predictions().get_all(&queries).unwrap_or_else(|error| {
        line(error.to_string());
        Vec::new()
    });
    let stats = client.stop();

    let held = |it: &Collector| Some(it.totals().held);
    let count = collector.as_ref().map_or_else(|| request_count(&server), held);
    screen::counters(&stats, count);
    if !answers.is_empty() {
        screen::predictions(queries.iter().zip(answers.iter().map(|answer| &**answer)));
    }
    if stats.pending > 0 {
        line(format!("\n{} events are pending: not accepted by {server}", stats.pending));
    }
    if let Some(collector) = collector.filter(|_| argument == KEEP) {
        line(format!("\npage of the collector: {}/", collector.url()));
        line("Ctrl-C stops it");
        // Until the end of the input.
        io::copy(&mut io::stdin(), &mut io::sink())?;
    }
    Ok(stats.delivered == stats.tracked)
}

/// Configures the server from the environment, or starts a collector in this process.
fn configuration(events: usize) -> Result<(TelemetryConfig, Option<Collector>), Box<dyn Error>> {
    // The queue must hold all runs, because they are tracked at once.
    let builder = TelemetryConfig::builder()
        .max_queue_size(events.max(1_000))
        .shutdown_timeout(Duration::from_secs(1));
    if env::var_os(SERVER_URL).is_some() {
        return Ok((builder.with_env().build()?, None));
    }
    let collector = Collector::start()?;
    let builder = builder
        .server_url(collector.url())
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc");
    Ok((builder.build()?, Some(collector)))
}

/// One query per model for a task of medium complexity, and one of high complexity: no run has it, so
/// the server falls back to other data.
fn queries(runs: &[Run]) -> Vec<PredictionQuery> {
    let query = |run: &Run, complexity| {
        let (model, provider) = (run.model.as_str(), run.provider.as_str());
        PredictionQuery::new(TaskType::Implementation, model, provider, complexity)
    };
    let mut queries: Vec<_> = runs.iter().map(|run| query(run, Complexity::Medium)).collect();
    queries.sort_unstable();
    queries.dedup();
    queries.truncate(9);
    queries.push(query(&runs[0], Complexity::High));
    queries
}

/// Requests the number of stored events; `None` if the server is not a collector.
fn request_count(server: &str) -> Option<u64> {
    let mut request = Request::default();
    *request.uri_mut() = format!("{server}/health").parse().ok()?;
    let answer = UreqTransport::new().send(request).ok()?;
    serde_json::from_slice::<serde_json::Value>(answer.body()).ok()?["totals"]["held"].as_u64()
}

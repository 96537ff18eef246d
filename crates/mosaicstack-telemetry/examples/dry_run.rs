//! A dry run: batches are logged instead of sent.
//!
//! ```text
//! cargo run --example dry_run
//! ```
//!
//! The log contains a line that ends with
//!
//! ```text
//! [DRY RUN] Would submit batch of 2 events to https://tel-api.mosaicstack.dev/v1/events/batch
//! ```
#![expect(clippy::print_stdout, reason = "command-line output")]

use mosaicstack_telemetry::{
    Complexity, ConfigError, Harness, Outcome, PredictionQuery, Provider, TaskType,
    TelemetryClient, TelemetryConfig,
};

const MODEL: &str = "claude-sonnet-4-5-20250929";

fn main() -> Result<(), ConfigError> {
    // The client logs through `tracing`; this prints level INFO and above.
    tracing_subscriber::fmt().init();

    let config = TelemetryConfig::builder()
        .server_url("https://tel-api.mosaicstack.dev")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .dry_run(true)
        .build()?;
    let client = TelemetryClient::start(config);

    for outcome in [Outcome::Failure, Outcome::Success] {
        let event = client
            .event()
            .task_type(TaskType::Debugging)
            .model(MODEL)
            .provider(Provider::Anthropic)
            .harness(Harness::ClaudeCode)
            .outcome(outcome)
            .build();
        client.track(event);
    }

    // Predictions are not requested either; the response has no data.
    let query =
        PredictionQuery::new(TaskType::Debugging, MODEL, Provider::Anthropic, Complexity::Medium);
    match client.predictions().get(&query) {
        Ok(answer) => println!("prediction: confidence {}", answer.metadata.confidence),
        Err(error) => println!("{error}"),
    }

    let stats = client.stop();
    println!("{stats}");
    println!("{} events were logged instead of sent", stats.dropped.dry_run);
    Ok(())
}

//! A budget: the best model that predictions say is affordable does the task, or none does; then
//! what it took is reported, beside what was expected.
//!
//! ```text
//! cargo run --example budget          # for 5 dollars
//! cargo run --example budget -- 20    # enough for the better model
//! cargo run --example budget -- 1     # too little for any
//! ```
//!
//! The predictions come from a collector of its own, which is told of 200 real runs first. With
//! `MOSAIC_TELEMETRY_SERVER_URL` set, they come from the server that the environment names; if it
//! has no data, as `cargo run -p telemetry-collector` at first, the models' list prices decide.
#![expect(clippy::print_stdout, reason = "it says what it did")]

use std::{env, error::Error, io, time::Duration};

use mosaicstack_telemetry::{
    Complexity, Confidence, Cost, Estimate, Outcome, PredictionQuery, Price, Provider, TaskType,
    TelemetryClient, TelemetryConfig, Tokens,
};
use serde::Deserialize;
use telemetry_collector::Collector;

struct Model {
    name: &'static str,
    provider: Provider,
    price: Price,
}

/// The models to choose from, the preferred one first, and their list prices.
fn models() -> [Model; 2] {
    [
        Model {
            name: "claude-sonnet-4-5-20250929",
            provider: Provider::Anthropic,
            price: Price::usd_per_million(3.0, 15.0),
        },
        Model {
            name: "gpt-5-2025-08-07",
            provider: Provider::Openai,
            price: Price::usd_per_million(1.25, 10.0),
        },
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let budget: f64 = env::args().nth(1).map_or(Ok(5.0), |usd| usd.parse())?;
    let (client, _collector) = start()?;

    let affordable = models().into_iter().find_map(|model| {
        let (estimate, at_most) =
            predicted(&client, &model).unwrap_or_else(|doubt| guessed(&model, &doubt));
        (at_most <= budget).then_some((model, estimate))
    });
    match affordable {
        Some((model, estimate)) => run(&client, &model, estimate),
        None => println!("refused: no model does it for ${budget:.2}"),
    }
    println!("{}", client.stop());
    Ok(())
}

/// What the task is, as the server files it.
fn query(model: &Model) -> PredictionQuery {
    let provider = model.provider.clone();
    PredictionQuery::new(TaskType::Implementation, model.name, provider, Complexity::Medium)
}

/// What a task like this takes with the model, and the dollars to be ready to spend; or why that
/// cannot be told.
fn predicted(client: &TelemetryClient, model: &Model) -> Result<(Estimate, f64), String> {
    let answer = client.predict(&query(model)).map_err(|error| error.to_string())?;
    let metadata = &answer.metadata;
    let data = answer.prediction.as_ref().ok_or("no data")?;
    // Low is little data, or that of other models.
    if !matches!(metadata.confidence, Confidence::Medium | Confidence::High) {
        return Err(format!("confidence {}", metadata.confidence));
    }
    // The median is always there, other percentiles need not be.
    let (share, micros) = match data.cost_usd_micros.percentile("p90") {
        Some(p90) => ("nine in ten", p90),
        None => ("half", data.cost_usd_micros.median()),
    };
    let (at_most, runs) = (micros / 1e6, metadata.sample_size);
    println!("{}: {share} of {runs} runs cost ${at_most:.2} at most", model.name);
    Ok((data.estimate(), at_most))
}

/// The same from list prices and a guess of one's own.
fn guessed(model: &Model, doubt: &str) -> (Estimate, f64) {
    let (input_tokens, output_tokens) = (2_000_000, 20_000);
    let cost_usd_micros = model.price.cost(input_tokens, output_tokens);
    let at_most = cost_usd_micros as f64 / 1e6;
    println!("{}: {doubt}; by its list price, ${at_most:.2}", model.name);
    (Estimate { input_tokens, output_tokens, cost_usd_micros, duration_ms: 0 }, at_most)
}

/// Does the task and reports it.
fn run(client: &TelemetryClient, model: &Model, estimate: Estimate) {
    let event = client
        .event()
        .query(&query(model)) // what is reported counts for the next prediction
        .estimate(estimate);
    let mut task = client.begin(event);

    let (actual_in, actual_out) = (1_193_569, 2_507); // stands for the agent's work
    let actual = model.price.cost(actual_in, actual_out);

    task.record(|event| {
        event
            .tokens(Tokens { actual_in, actual_out, ..Tokens::default() })
            .cost(Cost { actual, ..Cost::default() })
    });
    task.finish(Outcome::Success);
    let [expected, actual] = [estimate.cost_usd_micros, actual].map(|micros| micros as f64 / 1e6);
    println!("{} did it for ${actual:.2}, ${expected:.2} expected", model.name);
}

/// A client of the environment's server, or of a collector in this process that knows real runs.
fn start() -> Result<(TelemetryClient, Option<Collector>), Box<dyn Error>> {
    if env::var_os("MOSAIC_TELEMETRY_SERVER_URL").is_some() {
        return Ok((TelemetryClient::start(TelemetryConfig::from_env_or_disabled()), None));
    }
    let collector = Collector::start()?;
    let config = TelemetryConfig::builder()
        .server_url(collector.url())
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .build()?;
    let client = TelemetryClient::start(config);
    report_history(&client)?;
    Ok((client, Some(collector)))
}

/// A line of `data/swe-bench-pro-runs.jsonl`, as far as it matters here.
#[derive(Deserialize)]
struct PastRun {
    model: String,
    provider: Provider,
    resolved: bool,
    tokens_in: u64,
    tokens_out: u64,
    cost_usd: f64,
}

fn report_history(client: &TelemetryClient) -> Result<(), Box<dyn Error>> {
    for line in include_str!("data/swe-bench-pro-runs.jsonl").lines().take(200) {
        let run: PastRun = serde_json::from_str(line)?;
        let event = client
            .event()
            .task_type(TaskType::Implementation)
            .complexity(Complexity::Medium)
            .model(run.model)
            .provider(run.provider)
            .outcome(if run.resolved { Outcome::Success } else { Outcome::Failure })
            .tokens(Tokens {
                actual_in: run.tokens_in,
                actual_out: run.tokens_out,
                ..Tokens::default()
            })
            .cost(Cost { actual: (run.cost_usd * 1e6).round() as u64, ..Cost::default() });
        client.track(event.build());
    }
    client.flush(Duration::from_secs(10))?;
    Ok(())
}

//! Selects the first model whose predicted cost fits a budget, then reports estimated and actual cost.
//!
//! ```text
//! cargo run --example budget          # 5 US dollars
//! cargo run --example budget -- 20    # enough for the preferred model
//! cargo run --example budget -- 1     # not enough for any model
//! ```
//!
//! Starts a collector in this process and reports 200 real runs to it first. If
//! `MOSAIC_TELEMETRY_SERVER_URL` is set, uses the server from the environment instead. If the server
//! has too little data, list prices decide.
#![expect(clippy::print_stdout, reason = "command-line output")]

use std::{env, error::Error, io, time::Duration};

use mosaicstack_telemetry::{
    Complexity, Confidence, Cost, Estimate, Outcome, PredictionQuery, Price, Provider, TaskType,
    TelemetryClient, TelemetryConfig, Tokens, Usage,
};
use serde::Deserialize;
use telemetry_collector::Collector;

struct Model {
    name: &'static str,
    provider: Provider,
    price: Price,
}

/// Models and their list prices, in order of preference.
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
        let (estimate, max_cost) =
            predict(&client, &model).unwrap_or_else(|reason| guess(&model, &reason));
        (max_cost <= budget).then_some((model, estimate))
    });
    match affordable {
        Some((model, estimate)) => run(&client, &model, estimate),
        None => println!("no model fits the budget of ${budget:.2}"),
    }
    println!("{}", client.stop());
    Ok(())
}

/// The task, as the server groups tasks.
fn query(model: &Model) -> PredictionQuery {
    let provider = model.provider.clone();
    PredictionQuery::new(TaskType::Implementation, model.name, provider, Complexity::Medium)
}

/// Returns the median and the 90th percentile of the cost in US dollars, or the reason why there is no
/// usable prediction.
fn predict(client: &TelemetryClient, model: &Model) -> Result<(Estimate, f64), String> {
    let answer = client.predictions().get(&query(model)).map_err(|error| error.to_string())?;
    let metadata = &answer.metadata;
    let data = answer.prediction.as_ref().ok_or("no data")?;
    // Low confidence: little data, or data of other models.
    if !matches!(metadata.confidence, Confidence::Medium | Confidence::High) {
        return Err(format!("confidence {}", metadata.confidence));
    }
    // Servers send at least the median.
    let named = |name| data.cost_usd_micros.percentile(name).map(|micros| (name, micros));
    let (percentile, micros) = named("p90").or_else(|| named("median")).ok_or("no cost")?;
    let (max_cost, runs) = (micros / 1e6, metadata.sample_size);
    println!("{}: {percentile} of {runs} runs is ${max_cost:.2}", model.name);
    Ok((data.estimate(), max_cost))
}

/// Estimates the cost from list prices and a guessed number of tokens.
fn guess(model: &Model, reason: &str) -> (Estimate, f64) {
    let usage = Usage { input: 2_000_000, output: 20_000, ..Usage::default() };
    let (input_tokens, output_tokens) = (usage.total_input(), usage.total_output());
    let cost_usd_micros = model.price.cost_of(&usage);
    let max_cost = cost_usd_micros as f64 / 1e6;
    println!("{}: {reason}, list price ${max_cost:.2}", model.name);
    (Estimate { input_tokens, output_tokens, cost_usd_micros, duration_ms: 0 }, max_cost)
}

/// Runs the task and reports it.
fn run(client: &TelemetryClient, model: &Model, estimate: Estimate) {
    let event = client
        .event()
        .query(&query(model)) // the event improves the next prediction for this query
        .estimate(estimate)
        .price(model.price);
    let mut task = client.begin(event);

    let usage = Usage { input: 1_193_569, output: 2_507, ..Usage::default() }; // of a real run
    task.add(&usage);
    task.finish(Outcome::Success);

    let actual = model.price.cost_of(&usage);
    let [estimated, actual] = [estimate.cost_usd_micros, actual].map(|micros| micros as f64 / 1e6);
    println!("{}: cost ${actual:.2}, estimated ${estimated:.2}", model.name);
}

/// Starts a client for the server from the environment, or for a collector with real data.
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

/// The fields of a line in `data/swe-bench-pro-runs.jsonl` that this example uses.
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
            .cost(Cost::from_usd(run.cost_usd));
        client.track(event.build());
    }
    client.flush(Duration::from_secs(10))?;
    Ok(())
}

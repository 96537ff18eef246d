//! A web service on axum that reports the tasks it is told of, and passes predictions on.
//!
//! ```text
//! cargo run -p telemetry-collector     # in another terminal: prints three exports, repeat them here
//! cargo run -p mosaicstack-telemetry --example service --features hyper
//! ```
//!
//! It listens on port 3000, or on the one given as argument; port 0 is a free one.
//!
//! ```text
//! curl http://127.0.0.1:3000/tasks/complete -H 'content-type: application/json' -d '{
//!   "task_type": "implementation", "model": "claude-sonnet-4-5-20250929",
//!   "provider": "anthropic", "complexity": "medium",
//!   "actual_input_tokens": 112340, "actual_output_tokens": 38760,
//!   "actual_cost_usd_micros": 919200, "duration_ms": 45000, "outcome": "success"}'
//!
//! curl 'http://127.0.0.1:3000/predictions?task_type=implementation&model=claude-sonnet-4-5-20250929&provider=anthropic&complexity=medium'
//! ```
//!
//! Events are sent every five minutes or by the hundred; Ctrl-C (or SIGTERM) delivers what is
//! pending. Without the exports the service runs all the same, and warns that nothing is reported.
#![expect(clippy::print_stdout, reason = "it says where it listens and what it did")]

use std::{env, error::Error, io, time::Duration};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mosaicstack_telemetry::{
    AsyncPredictor, AsyncTelemetryClient, Complexity, Cost, Harness, Outcome, PredictionQuery,
    Provider, Quality, QualityGate, TaskType, TelemetryConfig, TelemetryHandle, Tokens,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, signal, sync::oneshot, time};

/// How long requests that are under way may take at the end. Telemetry takes 5 seconds more at most,
/// so that both fit into the 10 seconds that a container is often given.
const GRACE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let port = env::args().nth(1).map_or(Ok(3000), |port| port.parse::<u16>())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;

    // Telemetry that is misconfigured is turned off with a warning: the service runs without it.
    let config = TelemetryConfig::builder()
        .default_server_url("https://tel-api.mosaicstack.dev")
        .with_env()
        .build_or_disabled();
    let client = AsyncTelemetryClient::start(config);

    let app = Router::new()
        .route("/tasks/complete", post(complete_task))
        .route("/predictions", get(predictions))
        .with_state(App { telemetry: client.handle(), predictor: client.predictor() });
    let shutdown = shutdown_signal()?;
    println!("listening on http://{}", listener.local_addr()?);
    let (end, ended) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async { _ = ended.await });
    let served = tokio::select! {
        served = server => served,
        // A client that never finishes its request must not cost what is pending.
        () = async {
            shutdown.await;
            drop(end);
            time::sleep(GRACE).await;
        } => Ok(()),
    };

    // Whatever ended the server: what is pending is delivered now or never.
    println!("{}", client.stop().await);
    Ok(served?)
}

/// What the routes share. Both are cheap to clone, and neither keeps the client from stopping.
#[derive(Clone)]
struct App {
    telemetry: TelemetryHandle,
    predictor: AsyncPredictor,
}

#[derive(Deserialize)]
struct CompletedTask {
    task_type: TaskType,
    model: String,
    provider: Provider,
    complexity: Complexity,
    actual_input_tokens: u64,
    actual_output_tokens: u64,
    actual_cost_usd_micros: u64,
    duration_ms: u64,
    outcome: Outcome,
}

async fn complete_task(State(app): State<App>, Json(task): Json<CompletedTask>) -> Json<Value> {
    let event = app
        .telemetry
        .event()
        .task_type(task.task_type)
        .model(task.model)
        .provider(task.provider)
        .harness(Harness::ClaudeCode)
        .complexity(task.complexity)
        .duration_ms(task.duration_ms)
        .tokens(Tokens {
            actual_in: task.actual_input_tokens,
            actual_out: task.actual_output_tokens,
            ..Tokens::default()
        })
        .cost(Cost { actual: task.actual_cost_usd_micros, ..Cost::default() })
        .quality(Quality {
            passed: task.outcome == Outcome::Success,
            gates_run: vec![QualityGate::Build, QualityGate::Test],
            ..Quality::default()
        })
        .outcome(task.outcome)
        .build();
    app.telemetry.track(event); // neither blocks nor fails
    Json(json!({"status": "tracked"}))
}

/// What the telemetry server predicts, from the cache if that is fresh.
async fn predictions(State(app): State<App>, Query(query): Query<PredictionQuery>) -> Response {
    match app.predictor.predict(&query).await {
        Ok(prediction) => Json(&*prediction).into_response(),
        Err(error) => {
            let status = match error.is_transient() {
                true => StatusCode::SERVICE_UNAVAILABLE,
                false => StatusCode::BAD_GATEWAY,
            };
            (status, Json(json!({"error": error.to_string()}))).into_response()
        }
    }
}

/// Resolves on Ctrl-C and SIGTERM, which are caught from now on.
#[cfg(unix)]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal::unix::signal(signal::unix::SignalKind::interrupt())?;
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves on Ctrl-C.
#[cfg(not(unix))]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async { signal::ctrl_c().await.unwrap_or_default() })
}

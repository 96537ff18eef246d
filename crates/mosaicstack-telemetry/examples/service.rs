//! An axum web service that reports completed tasks and serves predictions.
//!
//! ```text
//! cargo run -p telemetry-collector     # in another terminal; run the printed exports here
//! cargo run -p mosaicstack-telemetry --example service --features hyper
//! ```
//!
//! Listens on port 3000, or on the port given as argument; 0 selects a free port.
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
//! Events are sent every 5 minutes or in full batches of 100; Ctrl-C and SIGTERM deliver pending
//! events. Without the exports, the service runs without telemetry and logs a warning.
#![expect(clippy::print_stdout, reason = "command-line output")]

use std::{env, error::Error, io, time::Duration};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mosaicstack_telemetry::{
    AsyncPredictions, AsyncTelemetryClient, Complexity, Cost, Harness, Outcome, PredictionQuery,
    Provider, Quality, QualityGate, TaskType, TelemetryConfig, TelemetryHandle, Tokens,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, signal, sync::oneshot, time};

/// Time for open requests to complete on shutdown. Stopping telemetry takes up to 5 s more; together
/// they stay below the 10 s that containers often have to stop.
const GRACE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let port = env::args().nth(1).map_or(Ok(3000), |port| port.parse::<u16>())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;

    // An invalid configuration disables telemetry with a warning; the service still runs.
    let config = TelemetryConfig::builder()
        .default_server_url("https://tel-api.mosaicstack.dev")
        .with_env()
        .build_or_disabled();
    let client = AsyncTelemetryClient::start(config);

    let app = Router::new()
        .route("/tasks/complete", post(complete_task))
        .route("/predictions", get(predictions))
        .with_state(App { telemetry: client.handle(), predictions: client.predictions().clone() });
    let shutdown = shutdown_signal()?;
    println!("listening on http://{}", listener.local_addr()?);
    let (end, ended) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async { _ = ended.await });
    let served = tokio::select! {
        served = server => served,
        // A connection that stays open must not delay the delivery of pending events.
        () = async {
            shutdown.await;
            drop(end);
            time::sleep(GRACE).await;
        } => Ok(()),
    };

    // Deliver pending events before the process exits, also after a server error.
    println!("{}", client.stop().await);
    Ok(served?)
}

/// State shared by the routes. Both are cheap to clone and do not keep the client running.
#[derive(Clone)]
struct App {
    telemetry: TelemetryHandle,
    predictions: AsyncPredictions,
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
    app.telemetry.track(event); // never blocks or fails
    Json(json!({"status": "tracked"}))
}

/// Serves a prediction, from the cache if it is fresh.
async fn predictions(State(app): State<App>, Query(query): Query<PredictionQuery>) -> Response {
    match app.predictions.get(&query).await {
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

/// Installs handlers of Ctrl-C and SIGTERM, and returns a future that resolves on either.
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

//! The plain handler: parses JSON and inserts rows, with the durability of the collector and nothing else.

use std::{
    io::{self, Write},
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use mosaicstack_telemetry::TaskCompletionEvent;
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime, task};

use crate::Result;

type Database = Arc<Mutex<Connection>>;

#[derive(Deserialize)]
struct Batch {
    events: Vec<TaskCompletionEvent>,
}

/// Listens on a free port, prints it, and serves until the standard input ends.
pub(crate) fn serve(file: &str) -> Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         CREATE TABLE events (event_id BLOB PRIMARY KEY, json TEXT NOT NULL)",
    )?;
    let app = Router::new()
        .route("/v1/events/batch", post(events))
        .route("/health", get(health))
        .with_state(Arc::new(Mutex::new(connection)));
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        io::stdout().flush()?;
        Ok(axum::serve(listener, app).await?)
    })
}

async fn events(
    State(database): State<Database>,
    Json(batch): Json<Batch>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let failed = |error: &dyn ToString| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let inserted = task::spawn_blocking(move || insert(&database, &batch.events));
    let accepted = inserted.await.map_err(|error| failed(&error))?;
    Ok(Json(json!({ "accepted": accepted.map_err(|error| failed(&error))? })))
}

fn insert(database: &Database, events: &[TaskCompletionEvent]) -> Result<usize> {
    let mut connection = database.lock().unwrap_or_else(PoisonError::into_inner);
    let transaction = connection.transaction()?;
    let mut statement =
        transaction.prepare("INSERT OR IGNORE INTO events (event_id, json) VALUES (?1, ?2)")?;
    let mut accepted = 0;
    for event in events {
        let json = serde_json::to_string(event)?;
        accepted += statement.execute(params![event.event_id.as_bytes(), json])?;
    }
    drop(statement);
    transaction.commit()?;
    Ok(accepted)
}

async fn health(State(database): State<Database>) -> Json<Value> {
    let connection = database.lock().unwrap_or_else(PoisonError::into_inner);
    let count = connection.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0));
    Json(json!({ "totals": { "held": count.unwrap_or_default() } }))
}

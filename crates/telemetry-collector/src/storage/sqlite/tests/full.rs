//! A store without room for more.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::json;
use telemetry_model::{Complexity, PredictionQuery, Provider, TaskCompletionEvent, TaskType};

use super::{Folder, Sqlite, events};
use crate::{
    Collector,
    storage::{
        Database, Storage,
        views::{Dimension, Views},
    },
};

/// See [`Database::limit_pages`].
pub(crate) fn limit_pages(database: &Sqlite, more: u64) {
    let writer = database.writer.lock();
    let pages: u64 = writer
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .expect("a number");
    let sql = format!("PRAGMA max_page_count = {}", pages + more);
    writer.connection.execute_batch(&sql).expect("a valid statement");
}

#[test]
fn full_store_takes_nothing_of_a_batch_and_recovers() {
    let folder = Folder::new();
    let database = folder.open();
    database.insert(&events(0..100), &[], 0).unwrap();
    database.limit_pages(20);
    let mut batch = events(100..1_000);
    // A series that is rolled back as well.
    batch.iter_mut().for_each(|event| event.model = "new".into());
    for _ in 0..2 {
        let error = database.insert(&batch, &[], 0).unwrap_err().to_string();
        assert!(error.contains("events.db: there is no room for more events"), "{error}");
        assert_eq!(database.counts().held, 100);
        assert_eq!(database.events().unwrap(), events(0..100));
        assert_eq!(database.values(Dimension::Model).unwrap().len(), 1);
    }
    let tasks = |database: &Sqlite, model: &str| {
        let (provider, complexity) = (Provider::Unknown, Complexity::Medium);
        let query = PredictionQuery::new(TaskType::Unknown, model, provider, complexity);
        database.summary(&query).unwrap().tasks
    };
    assert_eq!(tasks(&database, "unknown"), 100);

    database.limit_pages(10_000);
    assert_eq!(database.insert(&batch, &[], 0).unwrap(), [true; 900]);
    drop(database);
    let database = folder.open();
    assert_eq!(database.events().unwrap(), [events(0..100), batch].concat());
    assert_eq!([tasks(&database, "unknown"), tasks(&database, "new")], [100, 900]);
}

/// The response to a batch.
fn post(collector: &Collector, events: &[TaskCompletionEvent]) -> String {
    let body = json!({ "events": events }).to_string();
    let length = body.len();
    let head = "POST /v1/events/batch HTTP/1.1\r\nhost: l\r\nconnection: close\r\n";
    let mut client = TcpStream::connect(collector.addr()).unwrap();
    client.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn batch_is_refused_with_503_while_there_is_no_room() {
    let folder = Folder::new();
    let collector = Collector::builder().store(folder.file()).start().unwrap();
    let database = &collector.shared.stored.as_ref().unwrap().database;
    assert!(post(&collector, &events(0..50)).starts_with("HTTP/1.1 200"));
    database.limit_pages(2);
    for refused in 1..3 {
        let response = post(&collector, &events(50..150));
        assert!(response.starts_with("HTTP/1.1 503"), "{response}");
        assert!(response.contains("\r\nretry-after: 5\r\n"), "{response}");
        assert!(response.contains("there is no room for more events"), "{response}");
        let totals = collector.totals();
        assert_eq!((totals.refused, totals.received, totals.held), (refused, 50, 50));
    }
    database.limit_pages(10_000);
    assert!(post(&collector, &events(50..150)).starts_with("HTTP/1.1 200"));
    assert_eq!(collector.totals().held, 150);
    assert_eq!(collector.events(), events(0..150));
}

//! Lost connections, and a database that hangs.

use std::{io::Read, io::Write, net::TcpStream, thread, time::Duration};

use serde_json::json;

use super::{
    Postgres, TestDatabase,
    proxy::{Mode, Proxy},
};
use crate::{
    Collector,
    storage::{
        Database, Retention, Storage,
        postgres::connection::{Connector, Timeouts},
        tests::{event, events},
    },
};

impl TestDatabase {
    fn url_through(&self, proxy: &Proxy) -> String {
        format!("postgres://collector@{}/{}", proxy.addr, self.name)
    }
}

/// A store behind a proxy, which tries to connect each time.
fn proxied() -> Option<(TestDatabase, Proxy, Postgres)> {
    let database = TestDatabase::new()?;
    let proxy = Proxy::start(database.socket());
    let url = database.url_through(&proxy).parse().expect("a valid URL");
    let mut connector = Connector::new(url).expect("it needs no TLS");
    connector.timeouts.pause = Duration::ZERO;
    let store = Postgres::connect(connector, Retention::default()).expect("the server listens");
    Some((database, proxy, store))
}

#[test]
fn lost_connection_is_an_error_until_the_database_is_back() {
    let Some((_database, proxy, store)) = proxied() else { return };
    store.insert(&events(0..10), &[], 0).unwrap();
    assert_eq!(store.events().unwrap().len(), 10);
    proxy.set(Mode::Refuse);
    for _ in 0..2 {
        let error = store.insert(&events(10..20), &[], 0).unwrap_err().to_string();
        assert!(
            error.contains(&format!("store postgres://collector@127.0.0.1:{}", proxy.addr.port()))
        );
        assert!(error.contains(": no connection: "), "{error}");
        store.events().unwrap_err();
        store.maintain(0).unwrap_err();
        assert_eq!(store.counts().held, 10);
    }
    proxy.set(Mode::Forward);
    assert_eq!(
        store.insert(&events(5..20), &[], 0).unwrap()[..6],
        [false, false, false, false, false, true]
    );
    assert_eq!(store.events().unwrap(), events(0..20));
    assert_eq!(store.counts().held, 20);
}

#[test]
fn connection_that_was_lost_between_two_calls_is_replaced() {
    let Some((_database, proxy, store)) = proxied() else { return };
    proxy.set(Mode::Refuse);
    proxy.set(Mode::Forward);
    // The thread of the connections has noticed.
    while store.writer.lock().connection.as_ref().unwrap().is_open() {
        thread::yield_now();
    }
    assert_eq!(store.insert(&[event(1)], &[], 0).unwrap(), [true]);
}

#[test]
fn commit_without_an_answer_is_an_error_and_its_repetition_a_duplicate() {
    let Some((database, proxy, store)) = proxied() else { return };
    proxy.set(Mode::LoseCommit);
    store.insert(&events(0..10), &[], 0).unwrap_err();
    proxy.set(Mode::Forward);
    // The same rows: it waits until the first transaction has ended.
    assert_eq!(store.insert(&events(0..10), &[], 0).unwrap(), [false; 10]);
    assert_eq!(database.query("SELECT sum(tasks) FROM telemetry_collector.totals"), "10");
    store.maintain(60_000).unwrap();
    assert_eq!(store.counts().held, 10);
}

#[test]
fn hanging_database_is_an_error_and_recovers() {
    let Some((_database, proxy, mut store)) = proxied() else { return };
    let default = store.connector.timeouts;
    let short = Duration::from_millis(20);
    store.connector.timeouts = Timeouts { connect: short, ..default };
    store.writer.lock().connection.as_mut().unwrap().timeout = short;
    proxy.set(Mode::Hang);
    // A statement, then a connection.
    for _ in 0..2 {
        let error = store.insert(&events(0..10), &[], 0).unwrap_err().to_string();
        assert!(error.contains("the database has not answered within 0 seconds"), "{error}");
    }
    store.connector.timeouts = default;
    proxy.set(Mode::Forward);
    store.insert(&events(0..10), &[], 0).unwrap();
    assert_eq!(store.events().unwrap(), events(0..10));
}

#[test]
fn failed_connection_is_not_tried_again_at_once() {
    let Some((_database, proxy, mut store)) = proxied() else { return };
    store.connector.timeouts.pause = Duration::MAX / 4;
    proxy.set(Mode::Refuse);
    let error = store.insert(&[event(1)], &[], 0).unwrap_err();
    let first = store.insert(&[event(1)], &[], 0).unwrap_err();
    proxy.set(Mode::Forward);
    assert_eq!(store.insert(&[event(1)], &[], 0).unwrap_err(), first);
    assert!(error.to_string().contains("no connection"), "{error}");
}

#[test]
fn transaction_that_is_blocked_ends_with_its_timeout() {
    let Some((database, _proxy, store)) = proxied() else { return };
    store.insert(&[event(1)], &[], 0).unwrap();
    let blocking = database.open();
    let mut writer = blocking.writer.lock();
    let connection = writer.connection.as_mut().unwrap();
    connection.batch("BEGIN; LOCK totals IN ACCESS EXCLUSIVE MODE").unwrap();
    store.writer.lock().connection.as_mut().unwrap().batch("SET statement_timeout = 20").unwrap();
    let error = store.insert(&[event(2)], &[], 0).unwrap_err().to_string();
    assert!(error.contains("canceling statement due to statement timeout (57014)"), "{error}");
    connection.batch("COMMIT").unwrap();
    assert_eq!(store.insert(&[event(2)], &[], 0).unwrap(), [true]);
}

#[test]
fn batch_is_refused_with_503_while_the_database_is_away() {
    let Some(database) = TestDatabase::new() else { return };
    let proxy = Proxy::start(database.socket());
    let collector = Collector::builder().postgres(database.url_through(&proxy)).start().unwrap();
    assert!(post(&collector, 0).starts_with("HTTP/1.1 200"));
    proxy.set(Mode::Refuse);
    for refused in 1..4 {
        let response = post(&collector, 1);
        assert!(response.starts_with("HTTP/1.1 503"), "{response}");
        assert!(response.contains("\r\nretry-after: 5\r\n"), "{response}");
        let totals = collector.totals();
        assert_eq!((totals.refused, totals.received, totals.held), (refused, 1, 1));
    }
    proxy.set(Mode::Forward);
    // After the pause.
    while !post(&collector, 1).starts_with("HTTP/1.1 200") {}
    assert_eq!(collector.events(), events(0..2));
}

/// The response to an event.
fn post(collector: &Collector, id: u128) -> String {
    let body = json!({ "events": events([id]) }).to_string();
    let head = "POST /v1/events/batch HTTP/1.1\r\nhost: l\r\nconnection: close\r\n";
    let mut client = TcpStream::connect(collector.addr()).expect("the collector listens");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    client.write_all(request.as_bytes()).expect("the collector listens");
    let mut response = String::new();
    client.read_to_string(&mut response).expect("the collector listens");
    response
}

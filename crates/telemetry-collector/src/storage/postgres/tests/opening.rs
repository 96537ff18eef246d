//! Schemas that cannot be used, and URLs.

use std::thread;

use super::{Postgres, TestDatabase};
use crate::storage::{
    Database, Retention, Storage,
    postgres::{connection::Connector, open, url::Url},
    tests::{event, events},
};

fn error(url: &str) -> String {
    Postgres::open(url, Retention::default()).expect_err("an error").to_string()
}

#[test]
fn unusable_schema_is_an_error_and_stays_as_it_is() {
    for (prepare, expected) in [
        (
            "UPDATE telemetry_collector.version SET version = 9",
            "has version 9, and this program knows versions up to 1: use a newer program",
        ),
        ("DELETE FROM telemetry_collector.version", "is damaged (it has no version)"),
        (
            "DROP TABLE telemetry_collector.version",
            "belongs to another application: name another database",
        ),
        ("DROP TABLE telemetry_collector.totals", "relation \"totals\" does not exist (42P01)"),
    ] {
        let Some(database) = TestDatabase::new() else { return };
        database.open().insert(&[event(1)], &[], 0).unwrap();
        database.query(prepare);
        for _ in 0..2 {
            let error = error(&database.url());
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(database.query("SELECT count(*) FROM telemetry_collector.events"), "1");
    }
}

#[test]
fn schema_that_is_created_by_an_administrator_is_used_if_it_is_empty() {
    let Some(database) = TestDatabase::new() else { return };
    database.query("CREATE SCHEMA telemetry_collector");
    database.open().insert(&[event(1)], &[], 0).unwrap();
    assert_eq!(database.open().counts().held, 1);
}

#[test]
fn running_collector_refuses_a_schema_that_a_newer_one_has_migrated() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.open();
    store.insert(&[event(1)], &[], 0).unwrap();
    database.query("UPDATE telemetry_collector.version SET version = 2");
    // The first connection that reads.
    let error = store.events().unwrap_err().to_string();
    assert!(error.contains("has version 2"), "{error}");
}

#[test]
fn collectors_that_start_together_create_one_schema() {
    let Some(database) = TestDatabase::new() else { return };
    thread::scope(|scope| {
        for id in 0..6 {
            let database = &database;
            scope.spawn(move || database.open().insert(&[event(id)], &[], 0).unwrap());
        }
    });
    assert_eq!(database.open().counts().held, 6);
    assert_eq!(database.query("SELECT * FROM telemetry_collector.version"), "1");
}

#[test]
fn migrations_that_are_missing_are_applied_in_order_and_completely() {
    let Some(database) = TestDatabase::new() else { return };
    let connector = Connector::new(database.url().parse::<Url>().unwrap()).unwrap();
    let migrations =
        ["CREATE TABLE a (x int)", "INSERT INTO a VALUES (2)", "INSERT INTO a VALUES (3)"];
    let found = || {
        database.query(
            "SELECT (SELECT version FROM telemetry_collector.version), \
             (SELECT string_agg(x::text, ',') FROM telemetry_collector.a)",
        )
    };
    let migrate =
        |migrations: &[&str]| open::migrate(&mut connector.connect().unwrap(), migrations);
    migrate(&migrations[..2]).unwrap();
    assert_eq!(found(), "2|2");
    let broken =
        [migrations[0], migrations[1], "INSERT INTO a VALUES (4); INSERT INTO b VALUES (1)"];
    migrate(&broken).unwrap_err();
    assert_eq!(found(), "2|2", "nothing of the third");
    migrate(&migrations).unwrap();
    migrate(&migrations).unwrap();
    assert_eq!(found(), "3|2,3");
}

#[test]
fn damage_that_is_found_later_is_an_error_of_the_call() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.open();
    store.insert(&events(0..20), &[], 0).unwrap();
    database.query("UPDATE telemetry_collector.events SET json = '{' WHERE seq = 5");
    let error = store.events().unwrap_err().to_string();
    assert!(error.contains("is damaged (an event is not valid JSON)"), "{error}");
    assert_eq!(store.insert(&[event(20)], &[], 0).unwrap(), [true]);
}

#[test]
fn password_appears_in_no_error() {
    for url in [
        // Nothing listens there.
        "postgres://user:secret@127.0.0.1:1/db?application_name=secret",
        "postgres://127.0.0.1:1/db?password=secret",
        // Special characters that are not encoded.
        "postgres://user:x@secret@127.0.0.1:1/db",
        "postgres://user:x@y/secret@127.0.0.1:1/db",
        "postgres://user:x@y?secret@127.0.0.1:1/db",
        "postgres://user:x@y:secret@127.0.0.1:1/db",
        "postgres://user:%secret@127.0.0.1:port/db",
        "postgres://user:secret@",
        "postgres://user:secret@127.0.0.1:1/db?secret=secret",
        "user:secret@127.0.0.1",
    ] {
        let error = error(url);
        assert!(!error.contains("secret"), "{error}");
        assert!(error.contains("postgres://"), "{error}");
    }
    let url: Url = "postgresql://user:secret@h:7,[::1]/db?password=secret".parse().unwrap();
    assert_eq!(format!("{url:?}"), "postgres://user@h:7,[::1]/db");
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_without_its_feature_is_an_error() {
    let error = error("postgres://user@127.0.0.1:1/db?sslmode=require");
    assert!(error.contains("built with the feature `tls`"), "{error}");
}

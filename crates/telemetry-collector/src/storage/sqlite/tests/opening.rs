//! Files that are no store, or one that cannot be used.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use rusqlite::Connection;

use super::{Folder, Retention, Sqlite, event, events};
use crate::storage::{Database, Storage, sqlite::open::migrate};

fn error(path: &Path) -> String {
    Sqlite::open(path, Retention::default()).expect_err("an error").to_string()
}

/// A store with events, all of them in the file.
fn filled(folder: &Folder) {
    let database = folder.open();
    database.insert(&events(0..500), &[], 0).unwrap();
}

fn execute(folder: &Folder, sql: &str) {
    Connection::open(folder.file()).unwrap().execute_batch(sql).unwrap();
}

type Prepare = fn(&Folder);

#[test]
fn unusable_file_is_an_error_and_stays_as_it_is() {
    let cases: [(Prepare, &str); 11] = [
        (|it| fs::write(it.file(), "no database".repeat(500)).unwrap(), "is not a store"),
        (|it| fs::write(it.file(), "short").unwrap(), "is not a store"),
        (|it| fs::write(it.file(), "").unwrap(), "is empty and so not a store"),
        (|it| fs::create_dir(it.file()).unwrap(), "it is a folder: name a file"),
        (|it| execute(it, "CREATE TABLE theirs (id)"), "is the database of another application"),
        (
            |it| {
                filled(it);
                execute(it, "PRAGMA user_version = 9");
            },
            "has version 9, and this program knows versions up to 1: use a newer program",
        ),
        (
            |it| {
                filled(it);
                truncate(it, 2);
            },
            "the file is damaged",
        ),
        (
            |it| {
                filled(it);
                truncate(it, 100);
            },
            "the file is damaged",
        ),
        // The schema, behind the header of the file.
        (
            |it| {
                filled(it);
                overwrite(it, 100, 3_000);
            },
            "the file is damaged",
        ),
        // The roots of tables and indexes.
        (
            |it| {
                filled(it);
                overwrite(it, 4_096, 20 * 4_096);
            },
            "the file is damaged",
        ),
        (
            |it| {
                filled(it);
                execute(it, "PRAGMA writable_schema = 1; DELETE FROM sqlite_schema");
            },
            "the file is damaged (no such table: series)",
        ),
    ];
    for (number, (prepare, expected)) in cases.into_iter().enumerate() {
        let folder = Folder::new();
        prepare(&folder);
        let before = fs::read(folder.file()).ok();
        for _ in 0..2 {
            let error = error(&folder.file());
            assert!(error.contains("events.db: "), "{error}");
            assert!(error.contains(expected), "case {number}: {error}");
        }
        assert_eq!(fs::read(folder.file()).ok(), before, "case {number}");
    }
}

/// Divides the length of the file.
fn truncate(folder: &Folder, divisor: u64) {
    let file = fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
    file.set_len(file.metadata().unwrap().len() / divisor).unwrap();
}

fn overwrite(folder: &Folder, from: u64, count: usize) {
    let mut file = fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&vec![0xa5; count]).unwrap();
}

#[test]
fn damage_that_is_found_later_is_an_error_of_the_call() {
    let folder = Folder::new();
    let database = folder.open();
    database.insert(&events(0..5_000), &[], 0).unwrap();
    drop(database);
    let json: u64 = {
        let connection = Connection::open(folder.file()).unwrap();
        let sql = "UPDATE events SET json = '{' WHERE seq = 4000";
        connection.execute_batch(sql).unwrap();
        connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(json, 5_000);
    let database = folder.open();
    let error = database.events().unwrap_err().to_string();
    assert!(error.contains("the file is damaged (an event is not valid JSON)"), "{error}");
    assert_eq!(database.insert(&[event(5_000)], &[], 0).unwrap(), [true]);
}

#[test]
fn folder_that_does_not_exist_is_named() {
    let folder = Folder::new();
    let error = error(&folder.join("absent/events.db"));
    assert!(error.contains("absent does not exist"), "{error}");
    assert!(!folder.join("absent").exists());
}

#[test]
fn store_is_open_once() {
    let folder = Folder::new();
    let database = folder.open();
    let link = folder.join("link.db");
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.file(), &link).unwrap();
    #[cfg(not(unix))]
    let link = folder.file();
    for path in [folder.file(), link] {
        let error = error(&path);
        assert!(error.contains("another process has it open: stop that one"), "{error}");
    }
    drop(database);
    drop(folder.open());
}

#[test]
fn creation_that_was_interrupted_is_repeated() {
    let folder = Folder::new();
    for left in ["events.db-new", "events.db-new-wal", "events.db-new-journal"] {
        fs::write(folder.join(left), "left").unwrap();
    }
    let database = folder.open();
    database.insert(&[event(1)], &[], 0).unwrap();
    assert_eq!(database.events().unwrap(), [event(1)]);
    drop(database);
    let mut names: Vec<_> =
        fs::read_dir(&*folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["events.db", "events.db-lock"]);
}

#[test]
fn migrations_that_are_missing_are_applied_in_order_and_completely() {
    let mut connection = Connection::open_in_memory().unwrap();
    let migrations = ["CREATE TABLE a (x)", "INSERT INTO a VALUES (2)", "INSERT INTO a VALUES (3)"];
    let found = |connection: &Connection| -> (i64, Option<String>) {
        let sql = "SELECT (SELECT user_version FROM pragma_user_version), group_concat(x) FROM a";
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    migrate(&mut connection, &migrations[..2]).unwrap();
    assert_eq!(found(&connection), (2, Some("2".into())));
    let broken =
        [migrations[0], migrations[1], "INSERT INTO a VALUES (4); INSERT INTO b VALUES (1)"];
    migrate(&mut connection, &broken).unwrap_err();
    assert_eq!(found(&connection), (2, Some("2".into())), "nothing of the third");
    migrate(&mut connection, &migrations).unwrap();
    migrate(&mut connection, &migrations).unwrap();
    assert_eq!(found(&connection), (3, Some("2,3".into())));
}

#[cfg(unix)]
#[test]
fn file_or_folder_that_cannot_be_written_is_an_error() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    filled(&folder);
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&folder.file(), 0o444);
    if fs::OpenOptions::new().write(true).open(folder.file()).is_ok() {
        println!("skipped: this user can write every file");
        return;
    }
    let file = error(&folder.file());
    mode(&folder.file(), 0o644);
    mode(&folder, 0o555);
    let new = error(&folder.join("new.db"));
    let existing = error(&folder.file());
    mode(&folder, 0o755);
    assert!(file.contains("the file cannot be written: change its permissions"), "{file}");
    for error in [new, existing] {
        assert!(error.contains("cannot be written"), "{error}");
    }
    assert_eq!(folder.open().counts().held, 500);
}

//! Events in a PostgreSQL database, which several collectors share.
//!
//! One connection writes, others read. All summaries are maintained in the transaction that stores the events.
//! A connection on which anything fails is closed, which rolls its transaction back.

mod connection;
mod error;
mod insert;
mod open;
mod retention;
mod samples;
mod summary;
#[cfg(test)]
#[cfg(unix)]
pub(super) mod tests;
#[cfg(feature = "tls")]
mod tls;
mod url;
mod views;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::{Condvar, Mutex};
use telemetry_model::{PredictionQuery, TaskCompletionEvent};
use uuid::Uuid;

use self::{
    connection::{Connection, Connector},
    error::Error,
    retention::Usage,
    url::Url,
};
use super::{
    Database, Retention, Storage, StorageError, StoredCounts,
    views::{Rejection, UnixMillis},
};
use crate::aggregate::Summary;

/// The connections that read. The database may have few for all its clients.
const MAX_READERS: usize = 4;

/// The times that a transaction is tried which another collector's gets in the way of.
const MAX_TRIES: usize = 10;

/// The events that are read at a time.
const PAGE: i64 = 10_000;

/// The schema `telemetry_collector` of a database.
pub(crate) struct Postgres {
    connector: Connector,
    writer: Mutex<Writer>,
    readers: Mutex<Readers>,
    returned: Condvar,
    retention: Retention,
    /// Events of all collectors, as far as this one knows.
    held: AtomicU64,
    /// Events that this collector has removed.
    removed: AtomicU64,
}

#[derive(Default)]
struct Writer {
    connection: Option<Connection>,
    usage: Usage,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Connection>,
    busy: usize,
}

impl Postgres {
    /// Opens the store at a URL, and creates or migrates its schema.
    pub(crate) fn open(url: &str, retention: Retention) -> Result<Self, StorageError> {
        let url: Url = url.parse().map_err(StorageError)?;
        let name = url.to_string();
        let connector = Connector::new(url);
        let connector =
            connector.map_err(|error| StorageError(format!("store {name}: {error}")))?;
        Self::connect(connector, retention)
    }

    fn connect(connector: Connector, retention: Retention) -> Result<Self, StorageError> {
        let failed = |error: Error| StorageError(format!("store {}: {error}", connector.url()));
        let opened = retry(|| {
            let mut connection = connector.connect()?;
            open::migrate(&mut connection, &open::MIGRATIONS)?;
            connection.batch(open::SEARCH_PATH)?;
            let usage = Usage::read(&mut connection)?;
            Ok((connection, usage))
        });
        let (connection, usage) = opened.map_err(failed)?;
        Ok(Self {
            connector,
            held: AtomicU64::new(usage.held()),
            writer: Mutex::new(Writer { connection: Some(connection), usage }),
            readers: Mutex::default(),
            returned: Condvar::new(),
            retention,
            removed: AtomicU64::new(0),
        })
    }

    /// Runs `run` with the connection, or a new one. It is closed if that fails.
    fn with<T>(
        &self,
        slot: &mut Option<Connection>,
        run: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let connection = slot.take().filter(Connection::is_open);
        let mut connection = match connection {
            Some(connection) => connection,
            None => self.reconnect()?,
        };
        let result = run(&mut connection)?;
        *slot = Some(connection);
        Ok(result)
    }

    fn reconnect(&self) -> Result<Connection, Error> {
        let mut connection = self.connector.connect()?;
        // Another collector may have migrated it.
        open::check(&mut connection)?;
        connection.batch(open::SEARCH_PATH)?;
        Ok(connection)
    }

    /// Runs `read` in a snapshot on one of at most [`MAX_READERS`] connections; waits for one if all are in use.
    fn read<T>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, StorageError> {
        let mut connection = {
            let mut readers = self.readers.lock();
            while readers.busy == MAX_READERS {
                self.returned.wait(&mut readers);
            }
            readers.busy += 1;
            readers.idle.pop()
        };
        let result = self.with(&mut connection, |connection| {
            connection.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", read)
        });
        let mut readers = self.readers.lock();
        readers.busy -= 1;
        readers.idle.extend(connection);
        drop(readers);
        self.returned.notify_one();
        result.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &Error) -> StorageError {
        StorageError(format!("store {}: {error}", self.connector.url()))
    }
}

/// Runs a transaction again if another one got in its way.
fn retry<T>(mut run: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut tries = 1;
    loop {
        match run() {
            Err(error) if error.is_conflict() && tries < MAX_TRIES => tries += 1,
            result => return result,
        }
    }
}

impl Storage for Postgres {
    fn events(&self) -> Result<Vec<TaskCompletionEvent>, StorageError> {
        self.read(|connection| {
            let (mut events, mut last) = (Vec::new(), i64::MIN);
            loop {
                let sql = "SELECT seq, json FROM events WHERE seq > $1 ORDER BY seq LIMIT $2";
                let rows = connection.query(sql, &[&last, &PAGE])?;
                let Some(row) = rows.last() else { return Ok(events) };
                last = row.try_get(0)?;
                for row in &rows {
                    events.push(event(row.try_get(1)?)?);
                }
            }
        })
    }

    fn contains(&self, event_id: &Uuid) -> Result<bool, StorageError> {
        self.read(|connection| {
            let sql = "SELECT 1 FROM events WHERE event_id = $1";
            Ok(!connection.query(sql, &[event_id])?.is_empty())
        })
    }

    fn summary(&self, query: &PredictionQuery) -> Result<Summary, StorageError> {
        self.read(|connection| summary::summary(connection, query))
    }
}

impl Database for Postgres {
    fn insert(
        &self,
        events: &[TaskCompletionEvent],
        rejections: &[Rejection],
        received: UnixMillis,
    ) -> Result<Vec<bool>, StorageError> {
        let mut writer = self.writer.lock();
        let Writer { connection, usage } = &mut *writer;
        let inserted = retry(|| {
            self.with(connection, |connection| {
                connection.transaction("BEGIN", |connection| {
                    let inserted = insert::insert(connection, events, received)?;
                    insert::insert_rejections(connection, rejections)?;
                    Ok(inserted)
                })
            })
        });
        let inserted = inserted.map_err(|error| self.failed(&error))?;
        usage.add(&inserted);
        self.held.store(usage.held(), Ordering::Relaxed);
        Ok(inserted.are_new)
    }

    fn maintain(&self, now: UnixMillis) -> Result<bool, StorageError> {
        let mut writer = self.writer.lock();
        let Writer { connection, usage } = &mut *writer;
        let step = retry(|| {
            self.with(connection, |connection| usage.maintain(connection, &self.retention, now))
        });
        let step = step.map_err(|error| self.failed(&error))?;
        self.held.store(usage.held(), Ordering::Relaxed);
        self.removed.fetch_add(step.removed, Ordering::Relaxed);
        Ok(step.has_more)
    }

    #[cfg(test)]
    fn merge(&self) {
        let mut writer = self.writer.lock();
        let connection = &mut writer.connection;
        self.with(connection, samples::merge_pending).expect("nothing is in the way");
    }

    fn counts(&self) -> StoredCounts {
        StoredCounts {
            held: self.held.load(Ordering::Relaxed),
            removed: self.removed.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("url", self.connector.url()).finish_non_exhaustive()
    }
}

/// Reads the event of a column with JSON.
fn event(json: &[u8]) -> Result<TaskCompletionEvent, Error> {
    serde_json::from_slice(json).map_err(|_| Error::Damaged("an event is not valid JSON"))
}

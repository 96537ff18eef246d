//! Events in a SQLite database.
//!
//! One connection writes, others read, so that a reader never delays a receipt. All summaries are maintained
//! in the transaction that stores the events.

mod insert;
mod open;
mod retention;
mod samples;
mod summary;
#[cfg(test)]
pub(super) mod tests;
mod views;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use telemetry_model::{PredictionQuery, TaskCompletionEvent};
use uuid::Uuid;

use self::{
    insert::SeriesIds,
    open::{Lock, Options},
};
use super::{
    Database, Retention, Storage, StorageError, StoredCounts,
    samples::Damaged,
    views::{Rejection, UnixMillis},
};
use crate::aggregate::Summary;

/// The connections that read. More would wait for the same disk.
const MAX_READERS: usize = 4;

/// A store in a file, which no other process can open.
pub(crate) struct Sqlite {
    path: PathBuf,
    writer: Mutex<Writer>,
    readers: Mutex<Readers>,
    returned: Condvar,
    retention: Retention,
    options: Options,
    held: AtomicU64,
    removed: AtomicU64,
    /// Released last: fields are dropped in order.
    _lock: Lock,
}

struct Writer {
    connection: Connection,
    series: SeriesIds,
    /// Rows of the table `pending`.
    pending: u64,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Connection>,
    busy: usize,
}

impl Sqlite {
    /// Opens the store at `path`, which is created if there is no file.
    pub(crate) fn open(path: &Path, retention: Retention) -> Result<Self, StorageError> {
        let failed = |error: Error| StorageError(format!("store {}: {error}", path.display()));
        let path = open::absolute(path).map_err(failed)?;
        let lock = Lock::acquire(&path).map_err(failed)?;
        let options = Options::new(&retention);
        let connection = open::open(&path, &options).map_err(failed)?;
        let rows = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
        let held = rows("SELECT coalesce(sum(tasks), 0) FROM series");
        let pending = rows("SELECT count(*) FROM pending");
        let (held, pending) =
            held.and_then(|held| Ok((held, pending?))).map_err(|error| failed(error.into()))?;
        Ok(Self {
            path,
            writer: Mutex::new(Writer { connection, series: SeriesIds::default(), pending }),
            readers: Mutex::default(),
            returned: Condvar::new(),
            retention,
            options,
            held: AtomicU64::new(held),
            removed: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// Runs `read` on one of at most [`MAX_READERS`] connections; waits for one if all are in use.
    fn read<T>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, StorageError> {
        let idle = {
            let mut readers = self.readers.lock();
            while readers.busy == MAX_READERS {
                self.returned.wait(&mut readers);
            }
            readers.busy += 1;
            readers.idle.pop()
        };
        let connection = idle.map_or_else(|| open::reader(&self.path), Ok);
        let (connection, result) = match connection {
            Ok(mut connection) => {
                let result = read(&mut connection);
                (Some(connection), result)
            }
            Err(error) => (None, Err(error)),
        };
        let mut readers = self.readers.lock();
        readers.busy -= 1;
        readers.idle.extend(connection);
        drop(readers);
        self.returned.notify_one();
        result.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &Error) -> StorageError {
        StorageError(format!("store {}: {error}", self.path.display()))
    }
}

impl Storage for Sqlite {
    fn events(&self) -> Result<Vec<TaskCompletionEvent>, StorageError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT json FROM events ORDER BY seq")?;
            let mut rows = statement.query([])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(event(row.get_ref(0)?)?);
            }
            Ok(events)
        })
    }

    fn contains(&self, event_id: &Uuid) -> Result<bool, StorageError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT 1 FROM events WHERE event_id = ?1")?;
            Ok(statement.exists([event_id.as_bytes()])?)
        })
    }

    fn summary(&self, query: &PredictionQuery) -> Result<Summary, StorageError> {
        self.read(|connection| summary::summary(connection, query))
    }
}

impl Database for Sqlite {
    fn insert(
        &self,
        events: &[TaskCompletionEvent],
        rejections: &[Rejection],
        received: UnixMillis,
    ) -> Result<Vec<bool>, StorageError> {
        let mut writer = self.writer.lock();
        let Writer { connection, series, pending } = &mut *writer;
        let result = (|| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let are_new = insert::insert(&transaction, series, events, received)?;
            insert::insert_rejections(&transaction, rejections)?;
            transaction.commit()?;
            Ok(are_new)
        })();
        match result {
            Ok(are_new) => {
                let count = are_new.iter().filter(|is_new| **is_new).count() as u64;
                *pending += count;
                self.held.fetch_add(count, Ordering::Relaxed);
                Ok(are_new)
            }
            Err(error) => {
                // Series that were added are rolled back as well.
                series.clear();
                Err(self.failed(&error))
            }
        }
    }

    fn maintain(&self, now: UnixMillis) -> Result<bool, StorageError> {
        let mut writer = self.writer.lock();
        let result = writer.maintain(&self.retention, &self.options, now);
        match result {
            Ok(step) => {
                self.held.fetch_sub(step.removed, Ordering::Relaxed);
                self.removed.fetch_add(step.removed, Ordering::Relaxed);
                Ok(step.has_more)
            }
            Err(error) => {
                writer.series.clear();
                Err(self.failed(&error))
            }
        }
    }

    #[cfg(test)]
    fn merge(&self) {
        use super::samples::MAX_PENDING;

        let pending = std::mem::replace(&mut self.writer.lock().pending, MAX_PENDING);
        assert!(pending < MAX_PENDING && self.maintain(0).expect("there is room"));
    }

    #[cfg(test)]
    fn limit_pages(&self, more: u64) {
        tests::full::limit_pages(self, more);
    }

    fn counts(&self) -> StoredCounts {
        StoredCounts {
            held: self.held.load(Ordering::Relaxed),
            removed: self.removed.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Reads the event of a column with JSON.
fn event(json: rusqlite::types::ValueRef<'_>) -> Result<TaskCompletionEvent, Error> {
    let json = json.as_bytes().map_err(|_| Error::Damaged("an event is not text"))?;
    serde_json::from_slice(json).map_err(|_| Error::Damaged("an event is not valid JSON"))
}

/// Reasons why the store cannot be used.
#[derive(Debug)]
enum Error {
    Sqlite(rusqlite::Error),
    /// The contents contradict each other.
    Damaged(&'static str),
    /// A complete message.
    Refused(String),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Damaged> for Error {
    fn from(Damaged(detail): Damaged) -> Self {
        Self::Damaged(detail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let damaged = |f: &mut fmt::Formatter<'_>, detail: &dyn fmt::Display| {
            write!(
                f,
                "the file is damaged ({detail}): restore a copy, or move it away to start empty"
            )
        };
        match self {
            Self::Refused(message) => f.write_str(message),
            Self::Damaged(detail) => damaged(f, detail),
            // The statements are correct, so the schema is not that of a store.
            Self::Sqlite(rusqlite::Error::SqlInputError { msg, .. }) => damaged(f, msg),
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => {
                    f.write_str("the file is not a store: name another file")
                }
                // The latter is that of a statement: they are correct, so the schema is not.
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => damaged(f, error),
                Some(ErrorCode::DiskFull) => f.write_str("there is no room for more events"),
                Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                    write!(f, "the file or its folder cannot be written: {error}")
                }
                _ => write!(f, "{error}"),
            },
        }
    }
}

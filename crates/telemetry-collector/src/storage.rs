//! Storage of events, and the summaries that the page reads from it.

#[cfg(feature = "_database")]
mod changes;
#[cfg(feature = "_database")]
mod figures;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "_database")]
mod samples;
#[cfg(feature = "_database")]
mod sql;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(test)]
#[cfg(feature = "_database")]
mod tests;
#[cfg(any(feature = "page", feature = "_database"))]
#[cfg_attr(not(any(feature = "page", test)), expect(dead_code, reason = "for the page"))]
pub(crate) mod views;
#[cfg(feature = "_database")]
pub(crate) mod writer;

use std::fmt;
#[cfg(feature = "_database")]
use std::{sync::Arc, time::Duration};

use telemetry_model::{PredictionQuery, TaskCompletionEvent};
use uuid::Uuid;

#[cfg(feature = "_database")]
use self::views::{Rejection, UnixMillis, Views};
use crate::aggregate::Summary;

/// Reads stored events.
///
/// A database blocks: its methods are called on threads that serve no connection.
pub(crate) trait Storage: Send + Sync {
    /// All events, in the order in which they were stored.
    fn events(&self) -> Result<Vec<TaskCompletionEvent>, StorageError>;

    /// True if an event with this id is stored.
    fn contains(&self, event_id: &Uuid) -> Result<bool, StorageError>;

    /// The figures of the events that match a query best.
    fn summary(&self, query: &PredictionQuery) -> Result<Summary, StorageError>;
}

/// Stores events beyond the life of the process.
#[cfg(feature = "_database")]
pub(crate) trait Database: Storage + Views {
    /// Stores the new ones among the events and their effect on every summary, and the rejections: all or
    /// nothing, and durably. Returns for each event whether it was new.
    fn insert(
        &self,
        events: &[TaskCompletionEvent],
        rejections: &[Rejection],
        received: UnixMillis,
    ) -> Result<Vec<bool>, StorageError>;

    /// Performs one short step of what can wait: merges summaries, removes events that retention does not
    /// keep. Returns true if there is more to do.
    fn maintain(&self, now: UnixMillis) -> Result<bool, StorageError>;

    /// Merges summaries now, however few wait.
    #[cfg(test)]
    fn merge(&self);

    /// Leaves room for `more` pages, as a disk does that is almost full.
    #[cfg(all(test, feature = "sqlite"))]
    fn limit_pages(&self, more: u64) {
        unreachable!("only a file has pages, {more}");
    }

    /// The events stored now, and those that retention has removed since the start.
    fn counts(&self) -> StoredCounts;
}

/// See [`Database::counts`].
#[cfg(feature = "_database")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoredCounts {
    pub(crate) held: u64,
    pub(crate) removed: u64,
}

/// The place of a store.
#[cfg(feature = "_database")]
#[derive(Clone)]
pub(crate) enum Location {
    #[cfg(feature = "postgres")]
    Url(String),
    #[cfg(feature = "sqlite")]
    File(std::path::PathBuf),
}

#[cfg(feature = "_database")]
impl Location {
    /// Opens the store, or creates it.
    pub(crate) fn open(&self, retention: Retention) -> Result<Arc<dyn Database>, StorageError> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Url(url) => Ok(Arc::new(postgres::Postgres::open(url, retention)?)),
            #[cfg(feature = "sqlite")]
            Self::File(path) => Ok(Arc::new(sqlite::Sqlite::open(path, retention)?)),
        }
    }
}

/// The events that a store keeps.
#[cfg(feature = "_database")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retention {
    /// From this time after their receipt on they are removed.
    pub(crate) keep: Option<Duration>,
    /// The most bytes of the file and its log, at least [`Self::MIN_SIZE`].
    pub(crate) max_size: Option<u64>,
}

#[cfg(feature = "_database")]
impl Retention {
    /// The least value of `max_size`: 16 MiB.
    pub(crate) const MIN_SIZE: u64 = 16 * 1024 * 1024;
}

/// A store cannot be opened, read or written.
///
/// It is the inner error of [`CollectorBuilder::start`](crate::CollectorBuilder::start) if the store cannot
/// be opened. Displays the store, the reason and, if there is one, the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageError(pub(crate) String);

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StorageError {}

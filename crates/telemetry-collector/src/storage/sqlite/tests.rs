//! A database beside memory, damaged files, full disks, and retention.

mod equality;
pub(super) mod full;
mod opening;
mod removal;

use std::{
    env, fs,
    ops::Deref,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use telemetry_model::{EventBuilder, TaskCompletionEvent, time::OffsetDateTime};
use uuid::Uuid;

use super::{super::Retention, Sqlite};

/// A folder for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("telemetry-collector-{}-{number}", process::id()));
        fs::create_dir(&path).expect("the folder is new");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("events.db")
    }

    fn open(&self) -> Sqlite {
        self.open_with(Retention::default())
    }

    fn open_with(&self, retention: Retention) -> Sqlite {
        Sqlite::open(&self.file(), retention).expect("the store can be opened")
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn event(id: u128) -> TaskCompletionEvent {
    EventBuilder::new(Uuid::from_u128(9))
        .event_id(Uuid::from_u128(id))
        .timestamp(OffsetDateTime::UNIX_EPOCH)
        .build()
}

fn events(ids: impl IntoIterator<Item = u128>) -> Vec<TaskCompletionEvent> {
    ids.into_iter().map(event).collect()
}

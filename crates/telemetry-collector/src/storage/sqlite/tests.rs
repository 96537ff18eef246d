//! Damaged files, full disks, and the size.

pub(super) mod full;
mod opening;
mod size;

use std::{
    env, fs,
    ops::Deref,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use rusqlite::Connection;

use super::Sqlite;
use crate::storage::{
    Location, Retention,
    tests::{Place, event, events},
};

/// A folder for one test, removed at its end.
pub(in crate::storage) struct Folder(PathBuf);

impl Folder {
    pub(in crate::storage) fn new() -> Self {
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

impl Place for Folder {
    fn location(&self) -> Location {
        Location::File(self.file())
    }

    fn execute(&self, sql: &str) {
        Connection::open(self.file()).and_then(|it| it.execute_batch(sql)).expect("it is valid");
    }
}

//! Folders of tests.

use std::{
    env, fs,
    ops::Deref,
    path::{Path, PathBuf},
    process,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU32, Ordering},
    },
};

/// Between `fork` and `exec`, a new process has a copy of each lock of this one. So a test that starts processes runs
/// alone.
static PROCESSES: RwLock<()> = RwLock::new(());

/// A folder for one test, removed at its end.
pub(crate) struct Folder {
    path: PathBuf,
    _shared: Option<RwLockReadGuard<'static, ()>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let shared = PROCESSES.read().unwrap_or_else(PoisonError::into_inner);
        Self { path: path(), _shared: Some(shared), _alone: None }
    }

    /// For a test that starts processes.
    pub(crate) fn alone() -> Self {
        let alone = PROCESSES.write().unwrap_or_else(PoisonError::into_inner);
        Self { path: path(), _shared: None, _alone: Some(alone) }
    }
}

fn path() -> PathBuf {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let name = format!("telemetry-{}-{}", process::id(), LAST.fetch_add(1, Ordering::Relaxed));
    env::temp_dir().join(name)
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

//! A temporary folder.

use std::{
    env, fs,
    fs::DirBuilder,
    io::ErrorKind,
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

/// One for each thread, since `new` may wait for another one.
pub(crate) struct TemporaryFolder {
    path: PathBuf,
    _guard: Guard,
}

enum Guard {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

impl TemporaryFolder {
    pub(crate) fn new() -> Self {
        let guard = PROCESSES.read().unwrap_or_else(PoisonError::into_inner);
        Self::create(Guard::Shared { _guard: guard })
    }

    /// For a test that starts processes.
    pub(crate) fn alone() -> Self {
        let guard = PROCESSES.write().unwrap_or_else(PoisonError::into_inner);
        Self::create(Guard::Alone { _guard: guard })
    }

    fn create(guard: Guard) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent().join(format!("spool-{}-{count}", process::id()));
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            match builder.create(&path) {
                Ok(()) => return Self { path, _guard: guard },
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
}

/// In memory if possible, since tests create tens of thousands of files. `TMPDIR` overrides that.
fn parent() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if env::var_os("TMPDIR").is_none() && memory.is_dir() { memory.into() } else { env::temp_dir() }
}

impl Deref for TemporaryFolder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

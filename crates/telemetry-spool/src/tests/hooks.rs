//! Test-only switches of the file operations.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::disk::{Lock, Op};

/// Called before and after each file operation.
pub(crate) trait Hook: Send + Sync {
    /// Lets the operation fail without effect.
    fn before(&self, op: Op, path: &Path) -> io::Result<()>;

    /// Lets the operation fail, or seem to, after its effect.
    fn after(&self, _op: Op, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// The number of bytes that a write of `len` bytes writes.
    fn shorten(&self, len: usize) -> usize {
        len
    }
}

/// A step of the protocol to leave out, which tests must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// And without the comparison of the new segment with what has its name.
    TemporaryName,
    WriterLock,
    /// And without the comparison of a locked file with what has its name.
    DrainLock,
}

#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) hook: Option<Arc<dyn Hook>>,
    pub(crate) mutant: Option<Mutant>,
}

impl Hooks {
    pub(crate) fn run<T>(
        &self,
        op: Op,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(hook) = &self.hook else { return act() };
        hook.before(op, path)?;
        let result = act();
        hook.after(op, path)?;
        result
    }

    pub(crate) fn shorten<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let len = self.hook.as_ref().map_or(bytes.len(), |hook| hook.shorten(bytes.len()));
        &bytes[..len]
    }

    pub(crate) fn is_without(&self, lock: Lock) -> bool {
        match self.mutant {
            Some(Mutant::WriterLock) => lock == Lock::Writer,
            Some(Mutant::DrainLock) => lock == Lock::Drain,
            Some(Mutant::TemporaryName) | None => false,
        }
    }

    pub(crate) fn is_without_temporary_name(&self) -> bool {
        self.mutant == Some(Mutant::TemporaryName)
    }

    pub(crate) fn temporary(&self, temporary: PathBuf, path: &Path) -> PathBuf {
        if self.is_without_temporary_name() { path.into() } else { temporary }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("mutant", &self.mutant).finish_non_exhaustive()
    }
}

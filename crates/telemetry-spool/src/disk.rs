//! File operations. All of them go through [`Disk`], so that tests can inject faults before and after each.

use std::{
    fs::{self, DirBuilder, DirEntry, File, Metadata, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::Error;

/// A file operation, as in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    CreateFolder,
    Resolve,
    Stat,
    List,
    Create,
    Open,
    Lock,
    Read,
    Write,
    Truncate,
    Touch,
    Sync,
    SyncFolder,
    Rename,
    Remove,
}

impl Op {
    fn as_str(self) -> &'static str {
        match self {
            Self::CreateFolder | Self::Create => "create",
            Self::Resolve => "resolve",
            Self::Stat => "examine",
            Self::List => "list",
            Self::Open => "open",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write to",
            Self::Truncate => "truncate",
            Self::Touch => "set the time of",
            Self::Sync | Self::SyncFolder => "synchronize",
            Self::Rename => "rename",
            Self::Remove => "remove",
        }
    }
}

/// Purpose of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Of a new segment, held while its writer lives.
    Writer,
    /// Of a segment whose writer may be dead.
    Claim,
    /// Of the process that reads what others left.
    Drain,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) hooks: crate::tests::hooks::Hooks,
}

impl Disk {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests have hooks")]
    fn run<T>(&self, op: Op, path: &Path, act: impl FnOnce() -> io::Result<T>) -> Result<T, Error> {
        act().map_err(|error| io_error(op, path, error))
    }

    #[cfg(test)]
    fn run<T>(&self, op: Op, path: &Path, act: impl FnOnce() -> io::Result<T>) -> Result<T, Error> {
        self.hooks.run(op, path, act).map_err(|error| io_error(op, path, error))
    }

    /// Creates a folder and its parents, for this user only.
    pub(crate) fn create_folder(&self, path: &Path) -> Result<(), Error> {
        self.run(Op::CreateFolder, path, || {
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(path)
        })
    }

    pub(crate) fn resolve(&self, path: &Path) -> Result<PathBuf, Error> {
        self.run(Op::Resolve, path, || fs::canonicalize(path))
    }

    /// Examines what has this name, also if it is a link.
    pub(crate) fn stat(&self, path: &Path) -> Result<Metadata, Error> {
        self.run(Op::Stat, path, || fs::symlink_metadata(path))
    }

    /// Selects from what a folder holds. Leaves out names that are not valid UTF-8: this crate gives none.
    pub(crate) fn list<T>(
        &self,
        folder: &Path,
        select: impl Fn(&DirEntry, &str) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        self.run(Op::List, folder, || {
            let mut selected = Vec::new();
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                selected.extend(entry.file_name().to_str().and_then(|name| select(&entry, name)));
            }
            Ok(selected)
        })
    }

    /// Creates a file for this user only. Fails if there is one.
    pub(crate) fn create(&self, path: &Path) -> Result<File, Error> {
        self.run(Op::Create, path, || {
            let mut options = OpenOptions::new();
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.read(true).append(true).create_new(true).open(path)
        })
    }

    /// Opens a file for reading and appending. Returns `None` if it is something else.
    ///
    /// Opening does not block, since a FIFO that appears in between is opened for both directions. Callers lock the
    /// file and then compare it with what has the name ([`is_current`](Self::is_current)), which finds a link. So
    /// no flags are needed, whose numbers differ between systems.
    pub(crate) fn open(&self, path: &Path) -> Result<Option<File>, Error> {
        if !self.stat(path)?.is_file() {
            return Ok(None);
        }
        self.run(Op::Open, path, || OpenOptions::new().read(true).append(true).open(path)).map(Some)
    }

    /// Returns whether the lock is taken; `false` if another process has it.
    pub(crate) fn try_lock(&self, file: &File, path: &Path, lock: Lock) -> Result<bool, Error> {
        #[cfg(test)]
        if self.hooks.is_without(lock) {
            return Ok(true);
        }
        #[cfg(not(test))]
        let _ = lock;
        let result = self.run(Op::Lock, path, || {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(true),
                    Err(TryLockError::WouldBlock) => return Ok(false),
                    Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
        });
        // There is no other reason to fail, and std has no name for ENOLCK.
        result.map_err(|error| match error {
            Error::Io { source, .. } => Error::LocksUnsupported(source),
            error => error,
        })
    }

    /// Returns whether the file at `path` is this one: regular, and neither removed nor renamed nor replaced.
    pub(crate) fn is_current(&self, file: &File, path: &Path) -> Result<bool, Error> {
        match self.stat(path) {
            Ok(named) => self.run(Op::Stat, path, || Ok(is_same(&file.metadata()?, &named))),
            Err(error) if error.kind() == Some(ErrorKind::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads up to `max` bytes from the start of an opened file.
    pub(crate) fn read(&self, file: &File, path: &Path, max: u64) -> Result<Vec<u8>, Error> {
        self.run(Op::Read, path, || {
            // Enough for one event, which is then read at once.
            let mut bytes = Vec::with_capacity(4096);
            file.take(max).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    /// Writes at the end, once. Returns the number of bytes written.
    pub(crate) fn write(&self, mut file: &File, path: &Path, bytes: &[u8]) -> Result<usize, Error> {
        #[cfg(test)]
        let bytes = self.hooks.shorten(bytes);
        self.run(Op::Write, path, || {
            loop {
                match file.write(bytes) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    result => return result,
                }
            }
        })
    }

    /// The length of an opened file. Returns `None` if it was removed, which only Unix allows.
    pub(crate) fn len(&self, file: &File, path: &Path) -> Result<Option<u64>, Error> {
        self.run(Op::Stat, path, || {
            file.metadata().map(|it| (!is_removed(&it)).then_some(it.len()))
        })
    }

    /// The user id of the owner, on Unix.
    pub(crate) fn owner(&self, file: &File, path: &Path) -> Result<Option<u32>, Error> {
        self.run(Op::Stat, path, || Ok(owner(&file.metadata()?)))
    }

    pub(crate) fn truncate(&self, file: &File, path: &Path, len: u64) -> Result<(), Error> {
        self.run(Op::Truncate, path, || file.set_len(len))
    }

    /// Sets the time of modification, in unix milliseconds.
    pub(crate) fn touch(&self, file: &File, path: &Path, millis: u64) -> Result<(), Error> {
        self.run(Op::Touch, path, || {
            let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
            time.map_or(Ok(()), |time| file.set_modified(time))
        })
    }

    pub(crate) fn sync(&self, file: &File, path: &Path) -> Result<(), Error> {
        // Unit tests have a model of the disk, and take too long with this one.
        self.run(Op::Sync, path, || if cfg!(test) { Ok(()) } else { file.sync_data() })
    }

    /// Makes the names in a folder durable. Windows has no such operation, and needs none.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), Error> {
        if cfg!(windows) {
            return Ok(());
        }
        self.run(Op::SyncFolder, folder, || {
            if cfg!(test) { Ok(()) } else { File::open(folder)?.sync_all() }
        })
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        #[cfg(test)]
        if from == to {
            return Ok(());
        }
        self.run(Op::Rename, from, || fs::rename(from, to))
    }

    /// Removes a file, unless it is gone.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), Error> {
        self.run(Op::Remove, path, || match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        })
    }
}

fn io_error(op: Op, path: &Path, source: io::Error) -> Error {
    Error::Io { operation: op.as_str(), path: path.into(), source }
}

#[cfg(unix)]
fn owner(stat: &Metadata) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::uid(stat))
}

#[cfg(not(unix))]
fn owner(_: &Metadata) -> Option<u32> {
    None
}

#[cfg(unix)]
fn is_same(file: &Metadata, named: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.is_file() && !is_removed(file) && (file.dev(), file.ino()) == (named.dev(), named.ino())
}

#[cfg(unix)]
fn is_removed(file: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) == 0
}

#[cfg(not(unix))]
fn is_removed(_: &Metadata) -> bool {
    false
}

/// Windows keeps the name of an open file until it is closed, so a name that exists is enough.
#[cfg(not(unix))]
fn is_same(_: &Metadata, named: &Metadata) -> bool {
    named.is_file()
}

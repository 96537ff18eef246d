//! Opening, creation and migration of a store.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use parking_lot::Mutex;
use rusqlite::{Connection, MAIN_DB, OpenFlags, config::DbConfig};

use super::{Error, Retention};

/// Marks the databases of this program: `mtel`.
const APPLICATION_ID: i32 = 0x6d74_656c;

/// The statements that lead from each version to the next. A store has the version of the last one.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/1.sql")];

/// Time-out of a statement while another program uses the file, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The bytes of the log from which on it is copied to the file, without a limit of the size.
const LOG_BYTES: u64 = 16 * 1024 * 1024;

/// The page cache of the connection that writes, and of one that reads, in KiB.
const WRITER_CACHE: u32 = 32 * 1024;
const READER_CACHE: u32 = 8 * 1024;

const PAGE_BYTES: u64 = 4096;

/// The bounds of the files, in pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// The pages of the log from which on it is copied to the file.
    pub(super) log_pages: u64,
    /// The most pages of the file.
    pub(super) max_pages: Option<u64>,
}

impl Options {
    /// A quarter of the size is for the log: it can have twice the pages at which it is copied.
    pub(super) fn new(retention: &Retention) -> Self {
        let log = retention.max_size.map_or(LOG_BYTES, |size| (size / 8).min(LOG_BYTES));
        Self {
            log_pages: log / PAGE_BYTES,
            max_pages: retention.max_size.map(|size| (size - 2 * log) / PAGE_BYTES),
        }
    }
}

/// Excludes other processes, as long as it lives.
///
/// It is a lock of SQLite on an empty file beside the store, `FILE-lock`: it works on every system that SQLite
/// supports, ends with the process, and no child process inherits it.
#[derive(Debug)]
pub(super) struct Lock {
    /// The mutex makes it `Sync`.
    _connection: Mutex<Connection>,
}

impl Lock {
    pub(super) fn acquire(path: &Path) -> Result<Self, Error> {
        let connection = open_with(&beside(path, "-lock"), OpenFlags::SQLITE_OPEN_CREATE)
            .map_err(|error| cannot("open", error))?;
        let locked = connection.busy_timeout(Duration::ZERO).and_then(|()| {
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        });
        match locked {
            Ok(()) => Ok(Self { _connection: Mutex::new(connection) }),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                Err(Error::Refused(
                    "another process has it open: stop that one, or name another file".into(),
                ))
            }
            Err(error) => Err(cannot("lock", error)),
        }
    }
}

fn cannot(verb: &str, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::CannotOpen) => Error::Refused(format!(
            "cannot {verb} it: the folder does not exist or cannot be written"
        )),
        _ => error.into(),
    }
}

/// The path without links, so that each store has one name. The file need not exist.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let refused =
        |error: io::Error, what: &Path| Error::Refused(format!("{}: {error}", what.display()));
    match fs::metadata(path) {
        Ok(it) if it.is_dir() => {
            Err(Error::Refused("it is a folder: name a file, which may be new".into()))
        }
        Ok(it) if !it.is_file() => {
            Err(Error::Refused("it is not a regular file: name another one".into()))
        }
        Ok(_) => fs::canonicalize(path).map_err(|error| refused(error, path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(Error::Refused("it is a link to a file that does not exist".into()));
            }
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Error::Refused("expected the path of a file".into()));
            };
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let folder = fs::canonicalize(folder).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    Error::Refused(format!("the folder {} does not exist", folder.display()))
                }
                _ => refused(error, folder),
            })?;
            Ok(folder.join(name))
        }
        Err(error) => Err(refused(error, path)),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens the store for writing. Creates it if there is no file, migrates it if it is of an older version.
pub(super) fn open(path: &Path, options: &Options) -> Result<Connection, Error> {
    if !fs::exists(path).map_err(|error| Error::Refused(error.to_string()))? {
        create(path, options)?;
    }
    let mut connection = open_with(path, OpenFlags::empty())?;
    if connection.is_readonly(MAIN_DB)? {
        return Err(Error::Refused(
            "the file cannot be written: change its permissions, or name another file".into(),
        ));
    }
    check(&connection, path)?;
    configure(&connection, options)?;
    migrate(&mut connection, &MIGRATIONS)?;
    // Reads the root of each table and index.
    for sql in tables(&connection)? {
        connection.prepare(&sql)?.exists([])?;
    }
    Ok(connection)
}

/// Opens a store for reading.
pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    let connection = open_with(path, OpenFlags::empty())?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(&format!(
        "PRAGMA query_only = ON; PRAGMA cache_size = -{READER_CACHE}; PRAGMA temp_store = MEMORY"
    ))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn open_with(path: &Path, more: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread at a time.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags | more)
}

/// Creates a store. It gets its name when it is complete, so a killed process leaves none or a whole one.
fn create(path: &Path, options: &Options) -> Result<(), Error> {
    let new = beside(path, "-new");
    for left in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(&new, left)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Refused(format!("cannot create it: {error}")));
            }
            _ => {}
        }
    }
    let mut connection =
        open_with(&new, OpenFlags::SQLITE_OPEN_CREATE).map_err(|error| cannot("create", error))?;
    connection.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL; \
         PRAGMA application_id = {APPLICATION_ID}"
    ))?;
    configure(&connection, options)?;
    migrate(&mut connection, &MIGRATIONS)?;
    // Copies the log into the file and removes it.
    connection.close().map_err(|(_, error)| error)?;
    fs::rename(&new, path).map_err(|error| Error::Refused(format!("cannot create it: {error}")))?;
    sync_folder(path)
}

/// Makes the name of a new file durable.
#[cfg(unix)]
fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::Refused(format!("cannot create it: {error}")))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), Error> {
    Ok(())
}

/// Refuses files that are no stores of this version or an older one.
fn check(connection: &Connection, path: &Path) -> Result<(), Error> {
    if fs::metadata(path).is_ok_and(|it| it.len() == 0) {
        return Err(Error::Refused(
            "the file is empty and so not a store: remove it, or name another file".into(),
        ));
    }
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id")? != i64::from(APPLICATION_ID) {
        return Err(Error::Refused(
            "the file is the database of another application: name another file".into(),
        ));
    }
    let (found, known) = (pragma("user_version")?, MIGRATIONS.len() as i64);
    if found > known {
        return Err(Error::Refused(format!(
            "the store has version {found}, and this program knows versions up to {known}: use a \
             newer program"
        )));
    }
    Ok(())
}

/// Sets what a connection does not keep in the file.
fn configure(connection: &Connection, options: &Options) -> Result<(), Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::Refused("the file system does not support a log beside it".into()));
    }
    let Options { log_pages, max_pages } = options;
    // FULL: a receipt makes a client forget its events, so they must survive a loss of power as well.
    // The commits of batches that wait together share the price, one synchronization.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -{WRITER_CACHE}; \
         PRAGMA wal_autocheckpoint = {log_pages}; \
         PRAGMA journal_size_limit = {}; PRAGMA temp_store = MEMORY",
        log_pages * PAGE_BYTES
    ))?;
    if let Some(pages) = max_pages {
        connection.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Applies the migrations that the store lacks, each with its version in one transaction.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), Error> {
    let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (version, statements) in (1..).zip(migrations).skip(found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(statements)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// A query of the first entry of each table and index.
fn tables(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare(
        "SELECT CASE type WHEN 'table' THEN format('SELECT 1 FROM \"%w\" NOT INDEXED', name) \
         ELSE format('SELECT 1 FROM \"%w\" INDEXED BY \"%w\"', tbl_name, name) END \
         FROM sqlite_schema WHERE type IN ('table', 'index')",
    )?;
    let queries = statement.query_map([], |row| row.get(0))?;
    Ok(queries.collect::<rusqlite::Result<_>>()?)
}

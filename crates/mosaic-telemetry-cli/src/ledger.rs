//! The tasks that were sent.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use mosaicstack_telemetry::uuid::Uuid;
use telemetry_agent_logs::Task;

use crate::{error::Error, files};

/// The ids of the tasks that were sent, one a line, in a file that only grows. The first line is the time from which on
/// tasks are sent.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: File,
    /// Unix milliseconds of the first report.
    pub(crate) since: i64,
    /// This report is the first one.
    pub(crate) is_new: bool,
    sent: HashSet<Uuid>,
}

impl Ledger {
    /// Opens the ledger, or begins one now.
    pub(crate) fn open(path: PathBuf, now: i64) -> Result<Self, Error> {
        let file = files::open(&path, OpenOptions::new().read(true).append(true).create(true))?;
        let mut text = String::new();
        let failed = |error| Error::file("use", &path, &error);
        (&file).read_to_string(&mut text).map_err(failed)?;
        // A process that was killed may have written a part of a line.
        let since = text.split_once('\n').and_then(|(first, _)| first.parse().ok());
        let begin = if since.is_none() {
            file.set_len(0).map_err(failed)?;
            format!("{now}\n")
        } else if !text.ends_with('\n') {
            "\n".into()
        } else {
            String::new()
        };
        (&file).write_all(begin.as_bytes()).map_err(failed)?;
        let sent = text.lines().filter_map(|it| it.parse().ok()).collect();
        Ok(Self { path, file, since: since.unwrap_or(now), is_new: since.is_none(), sent })
    }

    /// Number of tasks that were sent, and unix milliseconds of the first report; `None` before that.
    pub(crate) fn look(path: &Path) -> Option<(usize, i64)> {
        let text = fs::read_to_string(path).ok()?;
        let (since, sent) = text.split_once('\n')?;
        Some((sent.lines().filter(|it| it.parse::<Uuid>().is_ok()).count(), since.parse().ok()?))
    }

    pub(crate) fn has(&self, task: &Task) -> bool {
        self.sent.contains(&task.id)
    }

    /// Records tasks that are in the spool.
    pub(crate) fn add<'a>(&mut self, tasks: impl Iterator<Item = &'a Task>) -> Result<(), Error> {
        let mut text = String::new();
        for task in tasks {
            self.sent.insert(task.id);
            text += &format!("{}\n", task.id);
        }
        let result = self.file.write_all(text.as_bytes());
        result.map_err(|error| Error::file("write", &self.path, &error))
    }
}

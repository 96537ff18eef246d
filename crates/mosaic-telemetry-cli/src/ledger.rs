//! The tasks that were sent.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    mem,
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
    /// Text to write before the next ids.
    begin: String,
    /// Unix milliseconds of the first report.
    pub(crate) since: i64,
    /// This report is the first one.
    pub(crate) is_new: bool,
    sent: HashSet<Uuid>,
}

impl Ledger {
    /// Reads the ledger. If there is none, [`add`](Self::add) begins one, with `now` as its time.
    pub(crate) fn open(path: PathBuf, now: i64) -> Result<Self, Error> {
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            result => result.map_err(|error| Error::file("use", &path, &error))?,
        };
        // A process that was killed may have written a part of a line.
        let since = text.split_once('\n').and_then(|(first, _)| first.parse().ok());
        let begin = match since {
            None => format!("{now}\n"),
            Some(_) if text.ends_with('\n') => String::new(),
            Some(_) => "\n".into(),
        };
        let sent = text.lines().filter_map(|it| it.parse().ok()).collect();
        Ok(Self { path, begin, since: since.unwrap_or(now), is_new: since.is_none(), sent })
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
        let mut text = mem::take(&mut self.begin);
        let is_first = self.is_new && !text.is_empty();
        for task in tasks {
            self.sent.insert(task.id);
            text += &format!("{}\n", task.id);
        }
        let mut file = files::open(&self.path, OpenOptions::new().append(true).create(true))?;
        // What is there has no time.
        let result = if is_first { file.set_len(0) } else { Ok(()) };
        let result = result.and_then(|()| file.write_all(text.as_bytes()));
        result.map_err(|error| Error::file("write", &self.path, &error))
    }
}

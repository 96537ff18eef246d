//! The state of a scan.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    mem,
    path::Path,
    sync::Arc,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};

use super::{
    SILENCE_MS,
    files::{Log, Stamp},
};
use telemetry_model::uuid::Uuid;

use crate::{Checkpoint, Task, hash::hash, task::LabelPool};

/// The bytes at the start of a file that tell whether it has been rewritten.
const HEAD_BYTES: u64 = 4_096;

/// Changes with what readers find: the logs are then read again.
const VERSION: u32 = 3;

/// State of a scan, with which the next one reads only what is new. It has no path and no text of a log, except for
/// the names of projects, models and languages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// By the hash of the path.
    #[serde(deserialize_with = "logs")]
    pub(super) logs: BTreeMap<u64, LogState>,
    /// Unix milliseconds at which the agent stopped, by the hash of the session.
    stopped: BTreeMap<u64, i64>,
}

/// Turns of a log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct LogState {
    stamp: Stamp,
    /// Length and checksum of the first bytes.
    head: (u64, u32),
    pub(super) checkpoint: Checkpoint,
    /// Checksum of the bytes before the checkpoint.
    pub(super) tail: u32,
    /// Requests of this log are in another one, where they count.
    pub(super) has_copies: bool,
    /// Turns that are not found again.
    pub(super) closed: Vec<Entry>,
    /// The last turn and the open ones, which can be found again with more.
    pub(super) last: Vec<Entry>,
    /// Number of turns without a request that no other log has.
    pub(super) without_usage: u64,
    /// As `without_usage`, of those that can be found again.
    pub(super) last_without_usage: u64,
}

/// A turn with at least one request that no other log has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) task: Arc<Task>,
    /// Work of a sub-agent or a compaction.
    pub(super) is_part: bool,
    /// Hashes of the ids of its requests.
    pub(super) ids: Box<[u64]>,
}

impl Entry {
    /// Properties that stay when a turn is found again. Parts have no key.
    pub(super) fn identity(&self) -> (Uuid, u64, i64) {
        (self.task.id, self.task.session, self.task.started)
    }
}

impl Default for State {
    fn default() -> Self {
        Self { version: VERSION, logs: BTreeMap::new(), stopped: BTreeMap::new() }
    }
}

impl State {
    /// True if it was written by a version that finds something else. Use the default instead.
    #[must_use]
    pub const fn is_outdated(&self) -> bool {
        self.version != VERSION
    }

    /// Records that the agent of a session has stopped at a time in unix milliseconds, for logs that have no end of a
    /// turn: turns of the session without later records count as ended. Forgotten after [`SILENCE_MS`].
    ///
    /// `session` is its name in the log, of which a hash is kept.
    pub fn stop(&mut self, session: &str, at: i64) {
        self.stopped.insert(hash(session), at);
    }

    /// Forgets the stops that silence covers.
    pub(super) fn forget_stops(&mut self, now: i64) {
        self.stopped.retain(|_, at| now.saturating_sub(*at) < SILENCE_MS);
    }

    /// True if the agent has stopped since the last record of the task.
    pub(super) fn has_stopped(&self, task: &Task) -> bool {
        self.stopped.get(&task.session).is_some_and(|at| task.ended <= *at)
    }

    /// Forgets all logs but these.
    pub(super) fn keep(&mut self, logs: &[Log<'_>]) {
        let keys: BTreeSet<_> = logs.iter().map(|it| it.key).collect();
        let before = self.logs.len();
        self.logs.retain(|key, _| keys.contains(key));
        if self.logs.len() < before {
            // What was in a removed log may be in a copy of it.
            self.logs.retain(|_, log| !log.has_copies);
        }
    }

    /// Prepares the state of a log for reading. `None` if nothing has changed.
    pub(super) fn begin(&mut self, log: &Log<'_>) -> io::Result<Option<Start>> {
        let known = self.logs.get_mut(&log.key);
        if known.as_ref().is_some_and(|it| it.stamp == log.stamp) {
            return Ok(None);
        }
        let new_head = head(&log.path, HEAD_BYTES)?;
        let mut start = Start::default();
        let mut state = LogState::default();
        if let Some(known) = known {
            start.is_rewritten = (known.stamp.file, true)
                != (log.stamp.file, known.stamp.len <= log.stamp.len)
                || head(&log.path, known.head.0)? != known.head
                || tail(&log.path, known.checkpoint.offset)? != known.tail;
            if !start.is_rewritten {
                start.checkpoint = known.checkpoint.clone();
                state = mem::take(known);
            }
        }
        (state.stamp, state.head) = (log.stamp, new_head);
        self.logs.insert(log.key, state);
        Ok(Some(start))
    }

    /// Makes the next scan read a log again, from the same checkpoint.
    pub(super) fn retry(&mut self, log: &Log<'_>) {
        if let Some(state) = self.logs.get_mut(&log.key) {
            state.stamp.modified = 0;
        }
    }
}

/// Start of the reading of a log.
#[derive(Debug, Default)]
pub(super) struct Start {
    pub(super) checkpoint: Checkpoint,
    /// The turns known of the log are forgotten.
    pub(super) is_rewritten: bool,
}

/// Reads logs one by one, with the labels of all tasks once in memory.
fn logs<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<u64, LogState>, D::Error> {
    struct Logs;

    impl<'de> Visitor<'de> for Logs {
        type Value = BTreeMap<u64, LogState>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("the logs")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut logs, mut pool) = (BTreeMap::new(), LabelPool::default());
            while let Some((key, mut log)) = map.next_entry::<u64, LogState>()? {
                for entry in log.closed.iter_mut().chain(&mut log.last) {
                    pool.share(Arc::make_mut(&mut entry.task));
                }
                logs.insert(key, log);
            }
            Ok(logs)
        }
    }

    input.deserialize_map(Logs)
}

/// Checksum of the last bytes before an offset.
pub(super) fn tail(path: &Path, offset: u64) -> io::Result<u32> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset.saturating_sub(HEAD_BYTES)))?;
    file.take(offset.min(HEAD_BYTES)).read_to_end(&mut bytes)?;
    Ok(crc32fast::hash(&bytes))
}

fn head(path: &Path, len: u64) -> io::Result<(u64, u32)> {
    let mut bytes = Vec::new();
    File::open(path)?.take(len).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64, crc32fast::hash(&bytes)))
}

//! Facts of earlier lines that a turn depends on.

use serde::{Deserialize, Serialize};

use telemetry_model::RepoSizeCategory;

use super::{record::Payload, usage::Figures};
use crate::{
    harness::lenient::{Text, parsed},
    paths::last_component,
    repository,
    timestamp::millis,
};

/// A pause that ends the copy of another session's lines, in milliseconds. They are written at once.
const PAUSE: i64 = 1000;

/// Kept in checkpoints.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// Id of the session that the file belongs to: the first that it names. Ids are not kept in checkpoints.
    #[serde(skip)]
    pub(super) thread: String,
    /// Id of the session of the person, for that of a sub-agent.
    #[serde(skip)]
    pub(super) parent: Option<String>,
    /// True if the file may start with a copy of the lines of another session.
    pub(super) is_fork: bool,
    /// True while the lines follow each other as fast as those of a copy.
    pub(super) is_burst: bool,
    pub(super) project: Option<String>,
    pub(super) repo_size: Option<RepoSizeCategory>,
    pub(super) model: String,
    /// Service tier of the requests, if the settings name one.
    pub(super) tier: String,
    pub(super) plans: bool,
    pub(super) window: Option<u64>,
    /// The last total of a `token_count`.
    pub(super) total: Option<Figures>,
    /// Number of turns that started.
    pub(super) turns: u64,
    /// Timestamp of the last line that has one.
    pub(super) timestamp: String,
    /// The timestamp before.
    #[serde(skip)]
    previous: String,
}

impl State {
    /// Takes note of the timestamp of a line.
    pub(super) fn tick(&mut self, timestamp: &str) {
        // A shape that is cheap to test: the timestamps of most lines are not needed.
        if timestamp.len() < 20 || !timestamp.starts_with(|c: char| c.is_ascii_digit()) {
            return;
        }
        let last = if self.is_burst { self.now() } else { 0 };
        std::mem::swap(&mut self.timestamp, &mut self.previous);
        self.timestamp.clear();
        self.timestamp.push_str(timestamp);
        if self.is_burst && last != 0 && self.now() > last + PAUSE {
            self.is_burst = false;
        }
    }

    /// Unix milliseconds of the last timestamp.
    pub(super) fn now(&self) -> i64 {
        millis(&self.timestamp).unwrap_or(0)
    }

    /// Unix milliseconds of the timestamp before the last one.
    pub(super) fn before(&self) -> i64 {
        millis(&self.previous).unwrap_or_else(|| self.now())
    }

    /// Reads a `session_meta`. Those behind the first are copies, of this session or of another.
    pub(super) fn start_session(&mut self, meta: &Payload<'_>) {
        if !self.thread.is_empty() {
            // A copy is at the start of a file, and starts with its own `session_meta`.
            self.start_copy(self.turns == 0 && meta.id.as_str() != self.thread);
            return;
        }
        meta.id.as_str().clone_into(&mut self.thread);
        self.enter(&meta.cwd);
        let source = meta.source.map_or("", |source| source.get());
        let spawned = meta.parent_thread_id.filled().is_some();
        let is_sub_agent = source.contains("\"subagent\"")
            || ["subagent", "guardian_review"].contains(&meta.thread_source.as_str());
        if spawned || is_sub_agent {
            let root = meta.session_id.filled().filter(|id| *id != self.thread);
            let parent = root
                .or_else(|| meta.parent_thread_id.filled())
                .map(str::to_owned)
                .or_else(|| spawner(source))
                .or_else(|| meta.forked_from_id.filled().map(str::to_owned));
            self.parent = Some(parent.unwrap_or_else(|| self.thread.clone()));
        }
        self.start_copy(self.parent.is_some() || meta.forked_from_id.filled().is_some());
    }

    fn start_copy(&mut self, is_fork: bool) {
        if is_fork && !self.is_fork {
            self.is_fork = true;
            self.is_burst = true;
        }
    }

    /// The id of a request that the log states only by a new total.
    pub(super) fn id_of_total(&self) -> String {
        let Figures { input, cache_read, output, total, .. } = self.total.unwrap_or_default();
        format!("{}/{input}-{cache_read}-{output}-{total}", self.thread)
    }

    /// Takes the project from a working folder.
    pub(super) fn enter(&mut self, cwd: &Text<'_>) {
        if let Some(folder) = cwd.filled().and_then(last_component) {
            self.project = Some(folder.to_owned());
            self.repo_size = repository::size_of(cwd.as_str());
        }
    }

    /// Reads a `turn_context` or the settings of a session; true if it turns plan mode on.
    pub(super) fn configure(&mut self, context: &Payload<'_>) -> bool {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Mode<'a> {
            #[serde(borrow)]
            mode: Text<'a>,
        }

        self.enter(&context.cwd);
        if let Some(model) = context.model.filled() {
            model.clone_into(&mut self.model);
        }
        if let Some(mode) = parsed::<Mode<'_>>(context.collaboration_mode) {
            self.plans = mode.mode.as_str() == "plan";
        }
        self.plans
    }
}

/// The id of the session that a source names as the one that started the sub-agent.
fn spawner(source: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Source {
        subagent: SubAgent,
    }
    #[derive(Deserialize)]
    struct SubAgent {
        thread_spawn: Spawn,
    }
    #[derive(Deserialize)]
    struct Spawn {
        parent_thread_id: String,
    }

    let source: Source = serde_json::from_str(source).ok()?;
    Some(source.subagent.thread_spawn.parent_thread_id)
}

/// Unix milliseconds at which a UUID of version 7 was made; `None` for other ids.
pub(super) fn made_at(id: &str) -> Option<u64> {
    let hex: String = id.chars().filter(|c| *c != '-').collect();
    let is_version_7 = hex.len() == 32 && hex.as_bytes().get(12) == Some(&b'7');
    is_version_7.then(|| u64::from_str_radix(hex.get(..12)?, 16).ok()).flatten()
}

//! The turn at hand.

use std::collections::HashMap;

use telemetry_model::TaskType;

use super::{
    commands::{Call, Outcome},
    state::{State, made_at},
};
use crate::{
    End, Request, Turn,
    paths::{count_edit, count_patch},
};

/// Session that the lines of a turn come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// This session's.
    Own,
    /// Another session's, copied when this one started.
    Copy,
    /// One or the other.
    Unknown,
}

/// A turn that more lines may belong to.
#[derive(Debug)]
pub(super) struct Current {
    /// Offset of its first line.
    pub(super) offset: u64,
    /// The state before that line.
    pub(super) before: State,
    pub(super) turn: Turn,
    /// Id of the turn, once the log named it.
    pub(super) id: Option<String>,
    /// True if the log marked the start, as current versions do.
    pub(super) is_marked: bool,
    pub(super) is_ended: bool,
    /// True if the last request failed, as far as the log shows.
    pub(super) has_failed: bool,
    /// Requests by `token_usage_record`.
    pub(super) recorded: Vec<Request>,
    /// Requests by `token_count`.
    pub(super) counted: Vec<Request>,
    /// True if the counts leave out usage.
    pub(super) has_gap: bool,
    /// Number of `compacted` records, and of events that say the same.
    pub(super) compactions: [u64; 2],
    /// Ids of responses that compacted the context.
    pub(super) compacting: Vec<String>,
    /// Calls of tools without output, by id.
    pub(super) calls: HashMap<String, Call>,
    /// Commands of running processes.
    processes: HashMap<String, String>,
    /// Number of turns of the file that started earlier.
    number: u64,
}

impl Current {
    /// Starts a turn with the line at this offset. `before` is the state before it.
    pub(super) fn new(offset: u64, before: State, state: &State) -> Self {
        let turn = Turn {
            session: state.parent.clone().unwrap_or_else(|| state.thread.clone()),
            is_part: state.parent.is_some(),
            started: state.now(),
            ended: state.now(),
            context_window: state.window,
            project: state.project.clone(),
            repo_size: state.repo_size.clone(),
            task_type: if state.plans { TaskType::Planning } else { TaskType::default() },
            ..Turn::default()
        };
        Self {
            offset,
            number: before.turns,
            before,
            turn,
            id: None,
            is_marked: false,
            is_ended: false,
            has_failed: false,
            recorded: Vec::new(),
            counted: Vec::new(),
            has_gap: false,
            compactions: [0; 2],
            compacting: Vec::new(),
            calls: HashMap::new(),
            processes: HashMap::new(),
        }
    }

    /// Session that the turn comes from. Ids of turns and sessions hold the time at which they were made.
    pub(super) fn origin(&self, state: &State) -> Origin {
        if !state.is_fork {
            return Origin::Own;
        }
        match (self.id.as_deref().and_then(made_at), made_at(&state.thread)) {
            (Some(turn), Some(thread)) if turn < thread => Origin::Copy,
            (Some(_), Some(_)) => Origin::Own,
            _ => Origin::Unknown,
        }
    }

    /// True if a `token_count` or an end belongs to a copy.
    pub(super) fn is_copy(&self, state: &State) -> bool {
        match self.origin(state) {
            Origin::Own => false,
            Origin::Copy => true,
            Origin::Unknown => state.is_burst,
        }
    }

    /// True if nothing but a prompt is known of it.
    pub(super) fn is_fresh(&self) -> bool {
        !self.is_marked && !self.is_ended && !self.has_requests() && self.calls.is_empty()
    }

    /// True if it is a task, whose id must not change: it may have been found before.
    pub(super) const fn has_requests(&self) -> bool {
        !self.counted.is_empty() || !self.recorded.is_empty()
    }

    /// Adds a request, or keeps the larger of two with the same id.
    pub(super) fn record(&mut self, request: Request) {
        let mut known = self.recorded.iter_mut();
        let known = known.find(|known| !request.id.is_empty() && known.id == request.id);
        match known {
            Some(known) if known.usage.total() < request.usage.total() => *known = request,
            Some(_) => {}
            None => self.recorded.push(request),
        }
    }

    /// Handles the end of a command. Its status is negative if it was interrupted.
    pub(super) fn ran(&mut self, command: &str, status: i64) {
        self.turn.gates.record(command, status);
    }

    /// Handles the output of a tool. Its outcome is read only if it is not known from another record.
    pub(super) fn returned(&mut self, call: &str, outcome: impl FnOnce() -> Outcome) {
        let Some(call) = self.calls.remove(call) else { return };
        let (arguments, outcome) = (call.arguments(), outcome());
        let process = arguments.process.as_deref();
        let command = process.and_then(|it| self.processes.get(it).cloned()).or(arguments.command);
        let has_worked = matches!(outcome, Outcome::Exited(0) | Outcome::Patched);
        if let Some(patch) = arguments.patch.filter(|_| has_worked && !call.is_counted) {
            count_patch(&mut self.turn.edits, &patch);
        }
        match (command, outcome) {
            (Some(command), Outcome::Exited(status)) => self.ran(&command, status),
            (Some(command), Outcome::Running(process)) => {
                self.processes.insert(process, command);
            }
            _ => {}
        }
    }

    /// Counts the files that a patch has changed, instead of those that its call names.
    pub(super) fn changed(&mut self, call: &str, paths: &[String]) {
        if let Some(call) = self.calls.get_mut(call) {
            call.is_counted = true;
        }
        paths.iter().for_each(|path| count_edit(&mut self.turn.edits, path));
    }

    /// Sets the kind of the task, unless it is a review.
    pub(super) fn set_plans(&mut self, plans: bool) {
        if self.turn.task_type != TaskType::CodeReview {
            self.turn.task_type = if plans { TaskType::Planning } else { TaskType::default() };
        }
    }

    /// True if a record that names this turn may be of the turn at hand.
    pub(super) fn is_of(&self, turn: &str) -> bool {
        turn.is_empty() || self.id.as_deref().is_none_or(|id| id == turn)
    }

    /// True if a review started it, and no prompt yet.
    pub(super) fn is_review_without_prompt(&self) -> bool {
        self.is_fresh() && self.turn.task_type == TaskType::CodeReview
    }

    /// Handles a mark of the end. The first one counts.
    pub(super) fn end(&mut self, end: End, duration: Option<u64>, state: &State) {
        if !self.is_ended {
            self.is_ended = true;
            self.turn.end = end;
            self.turn.ended = state.now();
            self.turn.duration_ms = duration;
        }
    }

    /// The turn, if it is one of this session. `is_last` is true if more lines may belong to it.
    pub(super) fn close(mut self, state: &State, is_last: bool) -> Option<Turn> {
        let is_empty = !self.has_requests();
        let is_open = is_last && !self.is_ended;
        match self.origin(state) {
            Origin::Copy => return None,
            Origin::Unknown if is_empty && self.before.is_burst && !is_open => return None,
            _ => {}
        }
        self.turn.key = self.key(state);
        self.turn.compactions = self.compactions.into_iter().max().unwrap_or(0);
        if self.recorded.is_empty() {
            // The totals leave out what a compaction used.
            self.turn.notes.has_unknown_usage |= self.has_gap || self.turn.compactions > 0;
            self.turn.requests = self.counted;
        } else {
            self.turn.requests = self.recorded;
        }
        for request in &mut self.turn.requests {
            let is_compaction =
                self.compacting.iter().any(|id| request.id.ends_with(&format!("/{id}")));
            request.is_main_loop = !self.turn.is_part && !is_compaction;
        }
        if !self.is_ended {
            self.turn.ended = if is_last { state.now() } else { state.before() };
            self.turn.end = match () {
                () if is_last => End::Open,
                () if self.has_failed => End::Failed,
                () if !self.calls.is_empty() => End::InToolCall,
                () => End::Unmarked,
            };
        }
        Some(self.turn)
    }

    /// The key of the turn among all of Codex.
    fn key(&self, state: &State) -> String {
        match &self.id {
            _ if self.turn.is_part => String::new(),
            Some(id) => format!("{}/{id}", state.thread),
            None => format!("{}/#{}", state.thread, self.number),
        }
    }
}

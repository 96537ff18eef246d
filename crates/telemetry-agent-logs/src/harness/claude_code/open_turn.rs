//! The turn that the records at hand belong to.

use telemetry_model::TaskType;

use super::{
    Place,
    record::{Message, Record},
    requests::Requests,
    tools::{Calls, Done},
};
use crate::{
    End, Turn,
    lines::Position,
    paths::{count_edit, last_component},
    repository, timestamp,
};

/// The first version that logs all output tokens.
const FIRST_COMPLETE: [u64; 3] = [2, 1, 98];

#[derive(Debug)]
pub(super) struct OpenTurn {
    pub(super) start: Position,
    pub(super) turn: Turn,
    started: Option<i64>,
    pub(super) requests: Requests,
    pub(super) calls: Calls,
    pub(super) state: State,
    pub(super) is_session_over: bool,
    is_plan_over: bool,
}

/// Last act of the main loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Prompted,
    CalledTool,
    Replied,
    Stopped,
    Interrupted,
    Failed,
}

impl OpenTurn {
    pub(super) fn new(start: Position, record: &Record<'_>, place: &Place) -> Self {
        let started = timestamp::millis(record.timestamp.as_str());
        let session = match record.session_id.as_str() {
            said if !said.is_empty() && (!place.is_part || place.session.is_empty()) => said,
            _ => &place.session,
        };
        let is_planning = record.permission_mode.as_str() == "plan";
        let turn = Turn {
            key: if place.is_part { String::new() } else { key(record, session) },
            session: session.to_owned(),
            is_part: place.is_part,
            project: last_component(record.cwd.as_str()).map(str::to_owned),
            repo_size: repository::size_of(record.cwd.as_str()),
            ended: started.unwrap_or(0),
            task_type: if is_planning { TaskType::Planning } else { TaskType::Unknown },
            ..Turn::default()
        };
        Self {
            start,
            turn,
            started,
            requests: Requests::default(),
            calls: Calls::default(),
            state: State::Prompted,
            is_session_over: false,
            is_plan_over: false,
        }
    }

    pub(super) fn finish(self, is_closed: bool) -> Turn {
        let is_closed = is_closed || self.is_session_over;
        let mut turn = self.turn;
        turn.started = self.started.unwrap_or(turn.ended);
        turn.requests = self.requests.finish();
        turn.end = self.state.end(is_closed);
        turn
    }

    pub(super) const fn is_working(&self) -> bool {
        matches!(self.state, State::Prompted | State::CalledTool)
    }

    /// Takes the time of a record, and returns it; of a record without time, that of those before it.
    pub(super) fn touch(&mut self, record: &Record<'_>) -> i64 {
        let Some(at) = timestamp::millis(record.timestamp.as_str()) else { return self.turn.ended };
        self.started.get_or_insert(at);
        self.turn.ended = self.turn.ended.max(at);
        at
    }

    /// Some versions log no reason why a reply stopped, so that a text alone is no sign.
    pub(super) fn stop(&mut self) {
        if self.state == State::Replied {
            self.state = State::Stopped;
        }
    }

    pub(super) fn results(&mut self, record: &Record<'_>) {
        for block in record.blocks().iter().filter(|block| block.kind.as_str() == "tool_result") {
            self.touch(record);
            match self.calls.end(block, record) {
                Some(Done::Command { command, status }) => self.turn.gates.record(&command, status),
                Some(Done::Edit(path)) => {
                    count_edit(&mut self.turn.edits, &path);
                    // Edits after the plan are not planning.
                    if self.is_plan_over && self.turn.task_type == TaskType::Planning {
                        self.turn.task_type = TaskType::Unknown;
                    }
                }
                Some(Done::PlanEnd) => self.is_plan_over = true,
                None => {}
            }
        }
    }
}

/// Identifies a turn in copies of the log.
fn key(record: &Record<'_>, session: &str) -> String {
    let message = record.message.0.as_ref().map(|message| &message.id);
    let ids = [Some(&record.uuid), message, Some(&record.request_id)];
    match ids.into_iter().flatten().find(|id| !id.is_empty()) {
        Some(id) => id.as_str().to_owned(),
        None => format!("{session} {}", record.timestamp.as_str()),
    }
}

impl State {
    pub(super) fn after(record: &Record<'_>, message: &Message<'_>) -> Self {
        let has_call = record.blocks().iter().any(|block| block.kind.as_str() == "tool_use");
        match message.stop_reason.as_str() {
            _ if record.is_api_error_message.0 => Self::Failed,
            "tool_use" => Self::CalledTool,
            _ if has_call => Self::CalledTool,
            "end_turn" | "stop_sequence" | "max_tokens" | "refusal" => Self::Stopped,
            _ => Self::Replied,
        }
    }

    const fn end(self, is_closed: bool) -> End {
        match self {
            Self::Stopped => End::Stopped,
            Self::Interrupted => End::Interrupted,
            Self::Failed => End::Failed,
            Self::CalledTool if !is_closed => End::OpenInToolCall,
            Self::Prompted | Self::Replied if !is_closed => End::Open,
            Self::CalledTool => End::InToolCall,
            Self::Prompted | Self::Replied => End::Unmarked,
        }
    }
}

/// True for a version that logs fewer output tokens than were used; false if it is not known.
pub(super) fn is_undercounted(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| {
        part.split(|it: char| !it.is_ascii_digit()).next().and_then(|part| part.parse::<u64>().ok())
    });
    match [parts.next(), parts.next(), parts.next()] {
        [Some(Some(major)), Some(Some(minor)), Some(Some(patch))] => {
            [major, minor, patch] < FIRST_COMPLETE
        }
        _ => false,
    }
}

//! Records in the order of the log, made into turns.

use telemetry_model::TaskType;

use super::{
    Place,
    open_turn::{self, OpenTurn, State},
    prompt::UserRecord,
    record::Record,
    tools,
};
use crate::{Found, lines::Position};

/// Finds turns in the records of a log.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) found: &'a mut Found,
    place: Place,
    turn: Option<OpenTurn>,
    /// A slash command, until it is known whether the agent works on it. A later read may
    /// start at it, so what follows must not decide on it by the turn before.
    command: Option<OpenTurn>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(place: Place, found: &'a mut Found) -> Self {
        Self { found, place, turn: None, command: None }
    }

    pub(super) fn record(&mut self, at: Position, record: &Record<'_>) {
        match record.kind.as_str() {
            "user" => self.user(at, record),
            "assistant" => self.assistant(at, record),
            // The oldest versions write no type.
            "" if record.message.0.is_some() => self.assistant(at, record),
            "system" => self.system(record),
            "attachment" => self.attachment(at, record),
            // It may nest a message of a sub-agent, which is also in a separate log.
            "progress" => {
                if let Some(turn) = self.turn.as_mut().filter(|turn| turn.is_working()) {
                    turn.touch(record);
                }
            }
            _ => {}
        }
    }

    /// Ends the log, and returns where the last turn starts.
    pub(super) fn finish(mut self) -> Option<Position> {
        let turn = self.turn.take()?;
        let start = turn.start;
        self.push(turn, false);
        Some(start)
    }

    fn user(&mut self, at: Position, record: &Record<'_>) {
        if let Some(turn) = &mut self.turn {
            turn.results(record);
        }
        if self.is_helper(record) {
            return;
        }
        match UserRecord::of(record) {
            UserRecord::Prompt => self.start(at, record),
            UserRecord::Command(name) => {
                let mut turn = self.open(at, record);
                if matches!(name, "review" | "security-review" | "code-review") {
                    turn.turn.task_type = TaskType::CodeReview;
                }
                self.end_session(name);
                self.command = Some(turn);
            }
            UserRecord::LocalOutput => self.command = None,
            UserRecord::Interrupt => {
                self.accept_command();
                if let Some(turn) = &mut self.turn {
                    turn.state = State::Interrupted;
                    turn.touch(record);
                }
            }
            UserRecord::Other => {}
        }
    }

    fn assistant(&mut self, at: Position, record: &Record<'_>) {
        let Some(message) = &record.message.0 else { return };
        let is_helper = self.is_helper(record);
        let is_local = message.model.as_str() == "<synthetic>";
        if is_local && !record.is_api_error_message.0 {
            return;
        }
        self.accept_command();
        if self.turn.is_none() && message.usage.0.is_some() && !is_local {
            self.turn = Some(self.open(at, record));
        }
        let is_part = self.place.is_part;
        let Some(turn) = &mut self.turn else { return };
        let at = turn.touch(record);
        turn.is_session_over = false;
        if !is_local {
            turn.requests.add(record, at, !is_helper && !is_part);
            turn.turn.notes.is_undercounted |= open_turn::is_undercounted(record.version.as_str());
        }
        for block in record.blocks().iter().filter(|block| block.kind.as_str() == "tool_use") {
            turn.calls.start(block);
        }
        if !is_helper {
            turn.state = State::after(record, message);
        }
    }

    fn system(&mut self, record: &Record<'_>) {
        if record.subtype.as_str() == "local_command" {
            self.command = None;
            if let Some(name) = tools::local_command(record.content) {
                self.end_session(name);
            }
            return;
        }
        let is_part = self.place.is_part;
        let Some(turn) = &mut self.turn else { return };
        match record.subtype.as_str() {
            "turn_duration" => {
                turn.stop();
                let duration = record.duration_ms.count();
                if duration > 0 {
                    let known = turn.turn.duration_ms.unwrap_or(0);
                    turn.turn.duration_ms = Some(known.saturating_add(duration));
                }
            }
            "stop_hook_summary" => {
                // A hook that fails can make the agent go on.
                if record.hook_errors.is_none_or(|errors| errors.get() == "[]") {
                    turn.stop();
                }
            }
            "compact_boundary" if !is_part => turn.turn.compactions += 1,
            "api_error" => turn.turn.retries += u64::from(record.retry_attempt.count() > 0),
            _ => return,
        }
        turn.touch(record);
    }

    /// A prompt that was typed while the agent worked belongs to the turn, unless the agent had stopped, or to the command
    /// that the agent has still to work on.
    fn attachment(&mut self, at: Position, record: &Record<'_>) {
        let Some(attachment) = &record.attachment.0 else { return };
        let is_prompt = attachment.kind.as_str() == "queued_command"
            && attachment.command_mode.as_str() == "prompt"
            && UserRecord::of_queued(attachment.prompt) == UserRecord::Prompt;
        if is_prompt
            && !self.is_helper(record)
            && self.command.is_none()
            && !self.turn.as_ref().is_some_and(OpenTurn::is_working)
        {
            self.start(at, record);
        }
    }

    /// True for the record of a sub-agent within the log of its session.
    const fn is_helper(&self, record: &Record<'_>) -> bool {
        record.is_sidechain.0 && !self.place.is_part
    }

    fn start(&mut self, at: Position, record: &Record<'_>) {
        self.command = None;
        let turn = self.open(at, record);
        let is_repeated =
            |open: &OpenTurn| !turn.turn.key.is_empty() && open.turn.key == turn.turn.key;
        if !self.turn.as_ref().is_some_and(is_repeated) {
            self.replace(turn);
        }
    }

    fn accept_command(&mut self) {
        if let Some(turn) = self.command.take() {
            self.replace(turn);
        }
    }

    fn replace(&mut self, turn: OpenTurn) {
        if let Some(closed) = self.turn.replace(turn) {
            self.push(closed, true);
        }
    }

    fn end_session(&mut self, command: &str) {
        if let Some(turn) =
            self.turn.as_mut().filter(|_| matches!(command, "clear" | "exit" | "quit"))
        {
            turn.is_session_over = true;
        }
    }

    fn open(&self, start: Position, record: &Record<'_>) -> OpenTurn {
        OpenTurn::new(start, record, &self.place)
    }

    fn push(&mut self, turn: OpenTurn, is_closed: bool) {
        let mut turn = turn.finish(is_closed);
        turn.notes.has_unknown_usage = turn.compactions > 0 && !self.place.has_compaction();
        self.found.turns.push(turn);
    }
}

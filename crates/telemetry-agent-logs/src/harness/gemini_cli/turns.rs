//! Turns from the records of a session.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::record::{self, Args, Record, ToolCall};
use crate::{
    Checkpoint, End, Request, Turn, harness::lenient::parsed, lines::Position, paths::count_edit,
    timestamp,
};

/// State at the start of a turn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Before {
    /// Unix milliseconds of the last message.
    at: i64,
    /// Records of the first line that are before the turn.
    skipped: usize,
}

#[derive(Debug)]
pub(super) struct Turns {
    before: Before,
    /// Facts about all turns of a file.
    context: Turn,
    checkpoint: Checkpoint,
    open: Option<Open>,
}

/// The turn that is being read.
#[derive(Debug)]
struct Open {
    turn: Turn,
    /// Id of the first message.
    id: String,
    /// Index of the request of a message.
    requests: HashMap<String, usize>,
    /// Calls of tools whose result was counted.
    calls: HashSet<String>,
    last: Last,
    /// It was rewound: what follows is another turn.
    is_closed: bool,
}

/// The last message of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Prompt,
    Reply,
    ToolCalls,
    Interrupted,
    Failed,
}

impl Turns {
    pub(super) fn new(from: &Checkpoint, context: Turn) -> Self {
        let before = serde_json::from_str(&from.before).unwrap_or_default();
        Self { before, context, checkpoint: from.clone(), open: None }
    }

    /// Records of the first line that are before the checkpoint.
    pub(super) const fn skipped(&self) -> usize {
        self.before.skipped
    }

    pub(super) fn record(&mut self, record: &Record<'_>, place: Position, turns: &mut Vec<Turn>) {
        if record.rewind_to.is_some() {
            if let Some(open) = &mut self.open {
                open.is_closed = true;
            }
            return;
        }
        // `$set` changes the head, or repeats messages as they are sent from now on: the records had them before.
        if let Some(id) = parsed::<String>(record.id) {
            self.message(record, id, place, turns);
        }
    }

    fn message(&mut self, record: &Record<'_>, id: String, place: Position, turns: &mut Vec<Turn>) {
        let time = parsed::<&str>(record.timestamp).and_then(timestamp::millis);
        let at = time.unwrap_or(self.before.at);
        let role = parsed::<&str>(record.role).unwrap_or_default();
        let is_new = !self.open.as_ref().is_some_and(|open| open.has(&id));
        match role {
            "user" if is_new && record::is_prompt(record.content) => {
                self.start(id, at, place, turns);
            }
            "gemini" => {
                if is_new && self.open.as_ref().is_none_or(|open| open.is_closed) {
                    self.start(id.clone(), at, place, turns);
                }
                let is_main_loop = !self.context.is_part;
                if let Some(open) = &mut self.open {
                    open.reply(record, id, at, is_main_loop);
                }
            }
            "error" | "info" | "warning" => {
                let text = record::text(record.content).unwrap_or_default();
                if let Some(open) = &mut self.open {
                    open.notice(role, &text, at);
                }
            }
            _ => {}
        }
        self.before.at = at;
    }

    fn start(&mut self, id: String, at: i64, place: Position, turns: &mut Vec<Turn>) {
        turns.extend(self.open.take().map(|open| open.end(true)));
        self.before.skipped = place.index;
        let before = serde_json::to_string(&self.before).unwrap_or_default();
        self.checkpoint = Checkpoint { offset: place.offset, before };
        let key = if self.context.is_part { String::new() } else { id.clone() };
        let turn = Turn { key, started: at, ended: at, ..self.context.clone() };
        self.open = Some(Open {
            turn,
            id,
            requests: HashMap::new(),
            calls: HashSet::new(),
            last: Last::Prompt,
            is_closed: false,
        });
    }

    pub(super) fn end(&mut self, turns: &mut Vec<Turn>) -> Checkpoint {
        turns.extend(self.open.take().map(|open| open.end(false)));
        self.checkpoint.clone()
    }
}

impl Open {
    fn has(&self, id: &str) -> bool {
        self.id == id || self.requests.contains_key(id)
    }

    fn reply(&mut self, record: &Record<'_>, id: String, at: i64, is_main_loop: bool) {
        self.turn.ended = self.turn.ended.max(at);
        if let Some(usage) = record::usage(record.tokens) {
            let model = parsed(record.model).unwrap_or_default();
            let request = Request { id, model, at, usage, cost_microdollars: None, is_main_loop };
            // The record is written again with other figures: the last ones count.
            match self.requests.get(&request.id).and_then(|at| self.turn.requests.get_mut(*at)) {
                Some(known) => *known = request,
                None => {
                    self.requests.insert(request.id.clone(), self.turn.requests.len());
                    self.turn.requests.push(request);
                }
            }
        }
        let calls = parsed::<Vec<&RawValue>>(record.tool_calls).unwrap_or_default();
        let mut are_cancelled = !calls.is_empty();
        for call in &calls {
            let call = parsed::<ToolCall<'_>>(Some(call)).unwrap_or_default();
            are_cancelled &= parsed::<&str>(call.status) == Some("cancelled");
            self.call(&call);
        }
        self.last = match (calls.is_empty(), record.content.map(RawValue::get)) {
            // The agent stops if all of its calls are cancelled.
            _ if are_cancelled => Last::Interrupted,
            (false, _) => Last::ToolCalls,
            (true, None | Some("\"\"" | "[]" | "null")) => Last::Prompt,
            (true, Some(_)) => Last::Reply,
        };
    }

    fn call(&mut self, call: &ToolCall<'_>) {
        let time = parsed::<&str>(call.timestamp).and_then(timestamp::millis);
        self.turn.ended = self.turn.ended.max(time.unwrap_or_default());
        let id = parsed::<String>(call.id).unwrap_or_default();
        if self.calls.contains(&id) {
            return;
        }
        let is_success = parsed::<&str>(call.status) == Some("success");
        let args = parsed::<Args<'_>>(call.args).unwrap_or_default();
        let is_counted = match parsed::<&str>(call.name) {
            Some("run_shell_command") if parsed(args.is_background) != Some(true) => {
                let status = record::exit_status(call.result, is_success);
                let command = parsed::<String>(args.command);
                if let (Some(status), Some(command)) = (status, &command) {
                    self.turn.gates.record(command, status);
                }
                status.is_some()
            }
            Some("replace" | "write_file" | "edit") if is_success => {
                let path = parsed::<String>(args.file_path).unwrap_or_default();
                count_edit(&mut self.turn.edits, &path);
                true
            }
            _ => false,
        };
        if is_counted && !id.is_empty() {
            self.calls.insert(id);
        }
    }

    /// A message of the program to the person.
    fn notice(&mut self, role: &str, text: &str, at: i64) {
        let last = match role {
            "error" if text.contains("[API Error") => Last::Failed,
            "info" if text == "Request cancelled." || text == "User cancelled the request." => {
                Last::Interrupted
            }
            "info" if text.contains("A compressed context will be sent") => {
                self.turn.compactions += 1;
                self.turn.notes.has_unknown_usage = true;
                return;
            }
            _ => return,
        };
        self.last = last;
        self.turn.ended = self.turn.ended.max(at);
    }

    fn end(mut self, is_followed: bool) -> Turn {
        self.turn.end = match self.last {
            Last::Interrupted => End::Interrupted,
            Last::Failed => End::Failed,
            // Calls of tools may still be added to a reply.
            Last::ToolCalls if !is_followed && !self.is_closed => End::OpenInToolCall,
            _ if !is_followed && !self.is_closed => End::Open,
            Last::Prompt => End::Unmarked,
            Last::Reply => End::Stopped,
            Last::ToolCalls => End::InToolCall,
        };
        self.turn
    }
}

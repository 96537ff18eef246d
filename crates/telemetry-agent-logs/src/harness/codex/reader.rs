//! Finds the turns among the lines of a rollout.

use std::io;

use serde_json::value::RawValue;
use telemetry_model::TaskType;

use super::{
    commands::{self, Call},
    current::Current,
    record::{Completed, CompletedItem, Item, Payload, Record, TokenCount, Typed},
    skip::{Head, Skipped},
    state::State,
};
use crate::{
    Checkpoint, End, Found,
    harness::lenient::{Number, Raw},
    lines::Lines,
};

/// Start of a record, to go on behind one that was not written to its end.
const START: &str = r#"{"timestamp":"#;

/// Errors that say nothing about a turn.
const OTHER_ERRORS: [&str; 2] = ["thread_rollback_failed", "active_turn_not_steerable"];

/// Reads the ids of the session from the first record of a log. `name` is the id if that does not say.
pub(super) fn identify(start: impl io::Read, name: &str) -> io::Result<State> {
    let mut found = Found::default();
    let state = State::default();
    let mut reader = Reader::new(state, 0, name, &mut found);
    let mut lines = Lines::new(start, 0);
    while reader.state.thread.is_empty()
        && let Some((_, line)) = lines.next()?
    {
        reader.read_line(line);
    }
    Ok(reader.state)
}

/// Reads from a checkpoint. `session` was identified by the lines before; `name` is its id if no line says.
pub(super) fn read(
    input: impl io::Read,
    from: &Checkpoint,
    session: State,
    name: &str,
    found: &mut Found,
) -> io::Result<Checkpoint> {
    let mut state: State = serde_json::from_str(&from.before).unwrap_or_default();
    state.thread = session.thread;
    state.parent = session.parent;
    let mut reader = Reader::new(state, from.offset, name, found);
    let mut lines = Lines::new(input, from.offset);
    while let Some((offset, line)) = lines.next()? {
        reader.offset = offset;
        reader.read_line(line);
    }
    reader.found.bad_lines += lines.too_long;
    reader.finish(from)
}

pub(super) struct Reader<'a> {
    pub(super) state: State,
    pub(super) current: Option<Current>,
    /// Offset of the line.
    offset: u64,
    /// The last `token_count`, if it was put off; else empty.
    pub(super) unread_total: Vec<u8>,
    name: &'a str,
    found: &'a mut Found,
}

impl<'a> Reader<'a> {
    const fn new(state: State, offset: u64, name: &'a str, found: &'a mut Found) -> Self {
        Self { state, current: None, offset, unread_total: Vec::new(), name, found }
    }

    fn finish(mut self, from: &Checkpoint) -> io::Result<Checkpoint> {
        self.catch_up();
        let Some(current) = self.current else { return Ok(from.clone()) };
        let before = serde_json::to_string(&current.before)?;
        let checkpoint = Checkpoint { offset: current.offset, before };
        self.found.turns.extend(current.close(&self.state, true));
        Ok(checkpoint)
    }

    /// Reads all records of a line, which should be one.
    fn read_line(&mut self, line: &[u8]) {
        if let Some(head) = Head::of(line) {
            if let Some(Skipped { output }) = head.skipped() {
                self.state.tick(head.timestamp);
                if let (Some(current), Some((call, text))) = (&mut self.current, output) {
                    current.returned(call, || commands::outcome_of_head(text));
                }
                return;
            }
            if let Some(total) = head.total()
                && self.puts_off(total)
            {
                self.tick(head.timestamp);
                return;
            }
            let (at, kind) = (head.timestamp, (head.kind, head.item));
            let payload = head.payload();
            let payload = payload.as_deref().and_then(|payload| str::from_utf8(payload).ok());
            if payload.is_some_and(|payload| self.read_payload(at, kind, payload).is_ok()) {
                return;
            }
        }
        // Much faster than the lossy conversion, and nearly always enough.
        let line = str::from_utf8(line)
            .map_or_else(|_| String::from_utf8_lossy(line), std::borrow::Cow::Borrowed);
        let mut rest: &str = &line;
        let mut is_bad = false;
        while !rest.is_empty() {
            let mut records = serde_json::Deserializer::from_str(rest).into_iter::<Record<'_>>();
            while let Some(Ok(record)) = records.next() {
                is_bad |= self.read_record(&record).is_err();
            }
            let end = records.byte_offset();
            rest = rest.get(end..).unwrap_or_default().trim_start();
            is_bad |= !rest.is_empty();
            let next = rest.get(1..).and_then(|rest| rest.find(START));
            rest = next.and_then(|at| rest.get(at + 1..)).unwrap_or_default();
        }
        self.found.bad_lines += u64::from(is_bad);
    }

    fn read_record(&mut self, record: &Record<'_>) -> serde_json::Result<()> {
        let payload = record.payload.map_or("", RawValue::get);
        if !payload.starts_with('{') {
            self.state.tick(record.timestamp.as_str());
            return Ok(());
        }
        let typed: Typed<'_> = serde_json::from_str(payload)?;
        let kind = (record.kind.as_str(), typed.kind.as_str());
        self.read_payload(record.timestamp.as_str(), kind, payload)
    }

    /// Reads the object that is the payload of a record of this kind and type. Does nothing if it cannot be parsed.
    fn read_payload(
        &mut self,
        timestamp: &str,
        kind: (&str, &str),
        payload: &str,
    ) -> serde_json::Result<()> {
        match kind {
            ("token_usage_record", _) => {
                let record = serde_json::from_str(payload)?;
                self.tick(timestamp);
                self.record_usage(&record);
            }
            ("event_msg", "token_count") => {
                let count: TokenCount = serde_json::from_str(payload)?;
                self.tick(timestamp);
                if let Some(info) = &count.info.0 {
                    self.count_usage(info);
                }
            }
            ("event_msg", "item_completed") => {
                let completed: Completed<'_> = serde_json::from_str(payload)?;
                self.tick(timestamp);
                if let Some(item) = &completed.item.0 {
                    self.complete_item(item, completed.turn_id.as_str());
                }
            }
            ("response_item", item) => {
                let fields = serde_json::from_str(payload)?;
                self.tick(timestamp);
                self.read_item(item, &fields);
            }
            (kind, item) => {
                let fields: Payload<'_> = serde_json::from_str(payload)?;
                if kind == "session_meta" {
                    self.state.tick(timestamp);
                    self.state.start_session(&fields);
                    return Ok(());
                }
                self.tick(timestamp);
                match kind {
                    "turn_context" => self.configure(&fields),
                    "compacted" => self.compacted(&fields),
                    "event_msg" => self.read_event(item, &fields),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Takes note of a record. If that of the session did not come first, its id is in the name of the log.
    fn tick(&mut self, timestamp: &str) {
        self.state.tick(timestamp);
        if self.state.thread.is_empty() {
            self.name.clone_into(&mut self.state.thread);
        }
    }

    fn read_event(&mut self, kind: &str, event: &Payload<'_>) {
        match kind {
            "task_started" | "turn_started" => self.start(event),
            "task_complete" | "turn_complete" => self.end(event, End::Stopped),
            "turn_aborted" => self.end(event, End::Interrupted),
            "user_message" if matches!(event.message_kind.as_str(), "" | "plain") => self.prompt(),
            "entered_review_mode" => self.review(),
            "exec_command_end" => {
                let command = (event.command, event.exit_code);
                self.ran(command, event.call_id.as_str(), event.turn_id.as_str());
            }
            "patch_apply_end" if event.success.is_none_or(|it| it.get() != "false") => {
                self.changed(event.changes, event.call_id.as_str());
            }
            "thread_settings_applied" => {
                if let Some(settings) = &event.thread_settings.0 {
                    settings.service_tier.as_str().clone_into(&mut self.state.tier);
                    self.configure(settings);
                }
            }
            "context_compacted" => self.with_current(|current| current.compactions[1] += 1),
            "stream_error" => self.with_current(|current| current.turn.retries += 1),
            "error" => {
                let info = event.codex_error_info.map_or("", |info| info.get());
                let is_other = OTHER_ERRORS.iter().any(|other| info.contains(other));
                self.with_current(|current| current.has_failed |= !is_other);
            }
            _ => {}
        }
    }

    fn complete_item(&mut self, item: &CompletedItem<'_>, turn: &str) {
        match item.kind.as_str() {
            "CommandExecution" => self.ran((item.command, item.exit_code), item.id.as_str(), turn),
            "FileChange" if !matches!(item.status.as_str(), "failed" | "declined") => {
                self.changed(item.changes, item.id.as_str());
            }
            "UserMessage" => self.prompt(),
            "EnteredReviewMode" => self.review(),
            "ContextCompaction" => self.with_current(|current| current.compactions[1] += 1),
            _ => {}
        }
    }

    /// Handles an item of the conversation: calls of tools and their outputs.
    fn read_item(&mut self, kind: &str, item: &Item<'_>) {
        let Some(current) = &mut self.current else { return };
        let call = item.call_id.filled().unwrap_or_else(|| item.id.as_str());
        match kind {
            "function_call" | "custom_tool_call" if !current.is_ended => {
                let tool = Call::new(item.name.as_str(), item.arguments.or(item.input));
                current.calls.insert(call.to_owned(), tool);
            }
            "local_shell_call" if !current.is_ended => {
                current.calls.insert(call.to_owned(), Call::new("local_shell", item.action));
            }
            "function_call_output" | "custom_tool_call_output" => {
                current.returned(call, || commands::outcome(item.output));
            }
            _ => {}
        }
    }

    fn with_current(&mut self, act: impl FnOnce(&mut Current)) {
        if let Some(current) = &mut self.current {
            act(current);
        }
    }

    /// Starts a turn with this line.
    pub(super) fn open(&mut self) -> &mut Current {
        self.catch_up();
        let before = self.state.clone();
        if let Some(current) = self.current.take() {
            self.found.turns.extend(current.close(&self.state, false));
        }
        self.state.turns += 1;
        self.current.insert(Current::new(self.offset, before, &self.state))
    }

    /// Handles the mark of a start. The prompt may have come before.
    fn start(&mut self, event: &Payload<'_>) {
        let id = event.turn_id.filled();
        let is_known = |current: &Current| id.is_some() && current.id.as_deref() == id;
        if self.current.as_ref().is_some_and(is_known) {
            return;
        }
        let window = event.model_context_window.positive();
        let plans = event.collaboration_mode_kind.filled().map(|kind| kind == "plan");
        if !self.current.as_ref().is_some_and(Current::is_fresh) {
            self.open();
        }
        self.state.window = window.or(self.state.window);
        self.state.plans = plans.unwrap_or(self.state.plans);
        let state = &self.state;
        if let Some(current) = &mut self.current {
            current.id = id.map(str::to_owned);
            current.is_marked = true;
            current.turn.context_window = state.window;
            current.set_plans(state.plans);
        }
    }

    /// Handles a mark of the end, if it is that of the turn at hand.
    fn end(&mut self, event: &Payload<'_>, end: End) {
        let Some(current) = &mut self.current else { return };
        if !current.is_of(event.turn_id.as_str()) {
            return;
        }
        if current.id.is_none() && !current.has_requests() {
            current.id = event.turn_id.filled().map(str::to_owned);
        }
        let has_failed = end == End::Stopped && (event.error.is_some() || current.has_failed);
        let end = if has_failed { End::Failed } else { end };
        current.end(end, event.duration_ms.positive(), &self.state);
    }

    /// Handles a prompt. Within a marked turn it steers the agent.
    fn prompt(&mut self) {
        match &mut self.current {
            Some(current) if current.is_marked && !current.is_ended => {}
            Some(current) if current.is_review_without_prompt() => {}
            _ => {
                self.open();
            }
        }
    }

    fn review(&mut self) {
        if self.current.as_ref().is_none_or(|current| current.is_ended) {
            self.open();
        }
        self.with_current(|current| current.turn.task_type = TaskType::CodeReview);
    }

    fn configure(&mut self, context: &Payload<'_>) {
        let plans = self.state.configure(context);
        let (project, repo_size) = (self.state.project.clone(), self.state.repo_size.clone());
        self.with_current(|current| {
            // Between turns, a context belongs to the next one.
            if !current.is_ended && current.is_of(context.turn_id.as_str()) {
                current.set_plans(plans);
                (current.turn.project, current.turn.repo_size) = (project, repo_size);
            }
        });
    }

    fn compacted(&mut self, record: &Payload<'_>) {
        self.with_current(|current| {
            current.compactions[0] += 1;
            current.compacting.extend(record.compaction_response_id.filled().map(str::to_owned));
        });
    }

    fn ran(&mut self, (command, status): (Raw<'_>, Number), call: &str, turn: &str) {
        let Some(current) = &mut self.current else { return };
        if !current.is_of(turn) {
            return;
        }
        current.calls.remove(call);
        if let (Some(text), Some(status)) = (commands::command(command), status.whole()) {
            current.ran(&text, status);
        }
    }

    fn changed(&mut self, changes: Raw<'_>, call: &str) {
        self.with_current(|current| current.changed(call, &commands::paths(changes)));
    }
}

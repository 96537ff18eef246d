//! Turns of a session.

use std::fmt::Write;

use telemetry_model::TaskType;

use super::{
    Position, Session,
    message::{Kind, Message, Part, PartRecord},
    usage::Figures,
};
use crate::{End, Found, Turn, paths::last_component, repository};

/// Finds the turns of a session, or of the rest of one.
///
/// Each message is begun, followed by its parts, and ended.
pub(super) struct Turns<'a> {
    session: &'a Session,
    found: &'a mut Found,
    open: Option<Open>,
    closed: Option<Position>,
    parts: Parts,
    /// The next message repeats the prompt, behind an automatic compaction.
    is_replay_next: bool,
}

/// The turn at hand.
struct Open {
    turn: Turn,
    /// The key has the first reply.
    has_reply: bool,
    /// The end that the last reply states.
    end: Option<End>,
    /// Nothing more belongs to the turn.
    is_over: bool,
    is_last_a_call: bool,
    compaction: Option<Compaction>,
    last: Position,
}

#[derive(Clone, Copy)]
struct Compaction {
    is_automatic: bool,
    has_replay: bool,
}

/// Sum of the parts of a message.
#[derive(Default)]
struct Parts {
    is_typed: bool,
    is_synthetic: bool,
    compaction: Option<Compaction>,
    steps: Vec<Figures>,
    finish: Option<String>,
    retries: u64,
    has_call: bool,
}

impl<'a> Turns<'a> {
    pub(super) fn new(session: &'a Session, found: &'a mut Found) -> Self {
        Self {
            session,
            found,
            open: None,
            closed: None,
            parts: Parts::default(),
            is_replay_next: false,
        }
    }

    pub(super) fn begin(&mut self, message: &Message) {
        self.parts = Parts::default();
        if message.kind == Kind::Assistant {
            self.go_on(message);
        }
    }

    pub(super) fn part(&mut self, record: &PartRecord<'_>) {
        let parts = &mut self.parts;
        match record.part() {
            Part::Text(is_synthetic) if is_synthetic => parts.is_synthetic = true,
            Part::Text(_) | Part::Attachment => parts.is_typed = true,
            Part::Tool(tool) => {
                parts.has_call = true;
                if let Some(open) = &mut self.open {
                    tool.record(&mut open.turn);
                }
            }
            Part::Start => parts.has_call = false,
            Part::Finish(figures, reason) => {
                parts.steps.push(figures);
                parts.finish = reason;
            }
            Part::Compaction { is_automatic, has_replay } => {
                parts.compaction = Some(Compaction { is_automatic, has_replay });
            }
            Part::Retry => parts.retries += 1,
            Part::Marker => {}
        }
    }

    pub(super) fn end(&mut self, message: &Message, position: Position) {
        let is_replay = std::mem::take(&mut self.is_replay_next);
        match message.kind {
            Kind::User => match self.parts.compaction {
                Some(compaction) => self.compact(message, compaction),
                None if self.parts.is_synthetic && !self.parts.is_typed || is_replay => {
                    self.go_on(message)
                }
                None => {
                    self.close(true);
                    self.start(message, false);
                }
            },
            Kind::Synthetic => self.go_on(message),
            Kind::Assistant => self.reply(message),
            Kind::Compaction(is_automatic) => {
                self.compact(message, Compaction { is_automatic, has_replay: false });
                self.reply(message);
            }
            Kind::Idle(end) => match &mut self.open {
                Some(open) if !open.is_over => {
                    open.end = open.end.or(Some(end));
                    open.is_over = true;
                }
                _ => return,
            },
            Kind::Other => return,
        }
        if let Some(open) = &mut self.open {
            open.turn.ended =
                open.turn.ended.max(message.created).max(message.completed.unwrap_or(i64::MIN));
            open.last = position;
        }
    }

    /// Ends the session. Returns the last message of the last closed turn, and whether there is an open one.
    pub(super) fn finish(mut self) -> (Option<Position>, bool) {
        let is_open = self.open.as_ref().is_some_and(|open| !open.is_over);
        self.close(false);
        (self.closed, is_open)
    }

    /// Makes sure that there is a turn which the message belongs to.
    ///
    /// Work that follows a turn without a prompt is a part, since the turn may have been found.
    fn go_on(&mut self, message: &Message) {
        if self.open.as_ref().is_none_or(|open| open.is_over) {
            self.close(true);
            self.start(message, true);
        }
    }

    fn start(&mut self, message: &Message, is_part: bool) {
        let is_part = is_part || self.session.is_child;
        let turn = Turn {
            key: if is_part { String::new() } else { message.created.to_string() },
            session: self.session.root.clone(),
            is_part,
            project: self.session.directory.as_deref().and_then(last_component).map(str::to_owned),
            repo_size: self.session.directory.as_deref().and_then(repository::size_of),
            started: message.created,
            ended: message.created,
            ..Turn::default()
        };
        self.open = Some(Open {
            turn,
            has_reply: false,
            end: None,
            is_over: false,
            is_last_a_call: false,
            compaction: None,
            last: Position::default(),
        });
    }

    fn compact(&mut self, message: &Message, compaction: Compaction) {
        if !compaction.is_automatic {
            self.close(true);
            self.start(message, true);
        }
        self.go_on(message);
        if let Some(open) = &mut self.open {
            open.turn.compactions += 1;
            open.compaction = Some(compaction);
        }
    }

    fn reply(&mut self, message: &Message) {
        let Some(open) = &mut self.open else { return };
        let parts = std::mem::take(&mut self.parts);
        let is_compaction = message.is_summary || message.kind != Kind::Assistant;
        let is_main_loop = !is_compaction && !self.session.is_child;
        let turn = &mut open.turn;

        let mut id = format!("{}/{}", message.created, message.model);
        message.figures.tokens.write_to(&mut id);
        if !open.has_reply && !is_compaction {
            open.has_reply = true;
            if !turn.is_part {
                let _ = write!(turn.key, "/{id}");
            }
            turn.task_type =
                if message.is_planning { TaskType::Planning } else { TaskType::Unknown };
        } else if is_main_loop && !message.is_planning {
            turn.task_type = TaskType::Unknown;
        }
        if let Some(folder) = message.folder.as_deref()
            && let Some(project) = last_component(folder)
        {
            turn.project = Some(project.to_owned());
            turn.repo_size = repository::size_of(folder);
        }
        turn.retries = turn.retries.saturating_add(parts.retries).saturating_add(message.retries);
        let request = |figures: &Figures, id| {
            figures.request(id, &message.model, message.created, is_main_loop)
        };
        if parts.steps.len() > 1 {
            // The message has the tokens of the last step only.
            let steps = parts.steps.iter().enumerate().filter(|(_, figures)| !figures.is_empty());
            turn.requests.extend(
                steps.map(|(ordinal, figures)| request(figures, format!("{id}/{ordinal}"))),
            );
        } else if let Some(figures) = [Some(&message.figures), parts.steps.first()]
            .into_iter()
            .flatten()
            .find(|it| !it.is_empty())
        {
            turn.requests.push(request(figures, id));
        }
        if message.kind != Kind::Assistant
            && message.completed.is_some()
            && message.figures.tokens.is_empty()
        {
            turn.notes.has_unknown_usage = true;
        }

        let finish = message.finish.as_deref().or(parts.finish.as_deref());
        open.is_last_a_call = parts.has_call || finish == Some("tool-calls");
        let compaction = open.compaction.take_if(|_| is_compaction);
        open.end = match (message.error, finish) {
            (Some(end), _) => Some(end),
            (None, _) if compaction.is_some_and(|it| it.is_automatic) => None,
            (None, _) if is_compaction => Some(End::Stopped),
            (None, Some("error")) => Some(End::Failed),
            (None, None | Some("tool-calls" | "unknown")) => None,
            (None, Some(_)) => (!parts.has_call).then_some(End::Stopped),
        };
        open.is_over = open.end.is_some() && message.completed.is_some();
        self.is_replay_next = open.end.is_none() && compaction.is_some_and(|it| it.has_replay);
    }

    /// Ends the turn at hand. `is_followed` if a message that does not belong to it follows.
    fn close(&mut self, is_followed: bool) {
        let Some(Open { mut turn, end, is_over, is_last_a_call, last, .. }) = self.open.take()
        else {
            return;
        };
        turn.end = match end {
            Some(end) if is_over || is_followed => end,
            _ if !is_followed && is_last_a_call => End::OpenInToolCall,
            _ if !is_followed => End::Open,
            _ if is_last_a_call => End::InToolCall,
            _ => End::Unmarked,
        };
        if is_over || is_followed {
            self.closed = Some(last);
        }
        if !turn.is_part || !turn.requests.is_empty() || turn.compactions > 0 {
            self.found.turns.push(turn);
        }
    }
}

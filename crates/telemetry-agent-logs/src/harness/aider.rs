//! aider: its analytics log, a file of JSON lines that `--analytics-log` or `AIDER_ANALYTICS_LOG` names.
//!
//! Each message that aider sends is a turn, from `message_send_starting` to `message_send`. The log has no session and
//! no project, and its times are whole seconds. It does not tell tokens of a cache from others: all are input. Its costs
//! bill them twice, so they are left out. Names of models that aider does not know end in `/REDACTED`, others may begin
//! with the API that serves them.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use telemetry_model::Provider;

use super::{
    Checkpoint, Environment, Found, Harness,
    lenient::{Raw, number, parsed},
};
use crate::{
    End, Notes, Request, Turn, Usage,
    lines::{Lines, Position, records},
};

/// aider.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aider;

impl Harness for Aider {
    fn harness(&self) -> telemetry_model::Harness {
        telemetry_model::Harness::Aider
    }

    fn provider(&self) -> Provider {
        Provider::Unknown
    }

    /// Files: the one of the variable, and the one that the documentation of aider has as its example.
    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        let variable = environment.variables.get("AIDER_ANALYTICS_LOG");
        let named = variable.filter(|path| !path.is_empty()).map(PathBuf::from);
        let usual = environment.home.join(".aider").join("analytics.jsonl");
        let mut roots: Vec<_> = named.into_iter().chain([usual]).collect();
        roots.dedup();
        roots
    }

    /// A root that is a file, whatever its name; in a folder all `.jsonl` files.
    fn is_log(&self, path: &Path) -> bool {
        let is_root = path.as_os_str().is_empty();
        is_root || path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn read(&self, path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
        let mut lines = Lines::open(path, from.offset)?;
        let mut reader = Reader::new(from);
        let start = Position { offset: from.offset, index: reader.before.skipped };
        while let Some(line) = lines.next()? {
            let read = |at, record: &Record<'_>| reader.record(record, at, &mut found.turns);
            found.bad_lines += u64::from(!records(line, start, read));
        }
        found.bad_lines += lines.too_long;
        Ok(reader.end(&mut found.turns))
    }
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    event: Cow<'a, str>,
    #[serde(default)]
    time: Raw<'a>,
    #[serde(default)]
    properties: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Properties<'a> {
    #[serde(borrow)]
    main_model: Raw<'a>,
    prompt_tokens: Raw<'a>,
    completion_tokens: Raw<'a>,
    total_cost: Raw<'a>,
}

/// State at the start of a turn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Before {
    /// Unix seconds of the last message.
    time: i64,
    /// Numbers of turns with the same key, of that second.
    keys: BTreeMap<String, u64>,
    /// Records of the first line that are before the turn.
    skipped: usize,
}

/// The start of a message.
#[derive(Clone, Copy, Debug)]
struct Started {
    /// Unix seconds, if the log has them.
    time: Option<i64>,
}

#[derive(Debug)]
struct Reader {
    /// State before the last turn, and the offset of its first line.
    before: Before,
    offset: u64,
    /// Time and key of the last turn.
    last: Option<(i64, String)>,
    /// The message whose end has not been read.
    started: Option<Started>,
}

impl Reader {
    fn new(from: &Checkpoint) -> Self {
        let before = serde_json::from_str(&from.before).unwrap_or_default();
        Self { before, offset: from.offset, last: None, started: None }
    }

    fn record(&mut self, record: &Record<'_>, at: Position, turns: &mut Vec<Turn>) {
        let is_start = match &*record.event {
            "message_send_starting" => true,
            "message_send" => false,
            _ => return,
        };
        if is_start && let Some(started) = self.started.take() {
            turns.push(self.without_reply(started, End::Unmarked));
        }
        let time = number(record.time);
        if is_start {
            self.mark(at);
            self.started = Some(Started { time });
            return;
        }
        // Another aider that writes to the same log may have started a message in between.
        let started = self.started.take().unwrap_or_else(|| {
            self.mark(at);
            Started { time }
        });
        // The message before is the nearest to one whose time cannot be read.
        let time = time.or(started.time).unwrap_or(self.before.time);
        let properties = parsed::<Properties<'_>>(record.properties).unwrap_or_default();
        let started = started.time.unwrap_or(time);
        turns.push(self.with_reply(started, time, &properties));
    }

    /// Starts a turn.
    fn mark(&mut self, at: Position) {
        if let Some((time, key)) = self.last.take() {
            if time != self.before.time {
                self.before = Before { time, ..Before::default() };
            }
            *self.before.keys.entry(key).or_default() += 1;
        }
        (self.offset, self.before.skipped) = (at.offset, at.index);
    }

    fn with_reply(&mut self, started: i64, time: i64, properties: &Properties<'_>) -> Turn {
        let model = parsed::<String>(properties.main_model).unwrap_or_default();
        let usage = Usage {
            input: parsed(properties.prompt_tokens).unwrap_or_default(),
            output: parsed(properties.completion_tokens).unwrap_or_default(),
            ..Usage::default()
        };
        let total_cost = properties.total_cost.map_or("", RawValue::get);
        let key = format!("{time}:{model}:{}:{}:{total_cost}", usage.input, usage.output);
        let request = Request {
            id: String::new(),
            model: without_vendor(&model).into(),
            at: time.saturating_mul(1000),
            usage,
            cost_microdollars: None,
            is_main_loop: true,
        };
        Turn {
            key: self.key(time, key),
            started: started.saturating_mul(1000),
            ended: request.at,
            requests: vec![request],
            end: End::Stopped,
            ..Turn::default()
        }
    }

    /// A message that was interrupted, that failed, or that has no reply yet: aider logs the same for all.
    fn without_reply(&mut self, started: Started, end: End) -> Turn {
        let started = started.time.unwrap_or(self.before.time);
        Turn {
            key: self.key(started, format!("{started}:")),
            started: started.saturating_mul(1000),
            ended: started.saturating_mul(1000),
            end,
            notes: Notes { has_unknown_usage: true, ..Notes::default() },
            ..Turn::default()
        }
    }

    /// The key with its occurrence among those of the same second.
    fn key(&mut self, time: i64, key: String) -> String {
        let known = self.before.keys.get(&key).filter(|_| time == self.before.time);
        let unique = format!("{key}:{}", known.unwrap_or(&0));
        self.last = Some((time, key));
        unique
    }

    fn end(mut self, turns: &mut Vec<Turn>) -> Checkpoint {
        if let Some(started) = self.started.take() {
            turns.push(self.without_reply(started, End::Open));
        }
        let before = serde_json::to_string(&self.before).unwrap_or_default();
        Checkpoint { offset: self.offset, before }
    }
}

/// The name of a model as its vendor spells it, if the vendor's own API serves it: price lists and the logs of other
/// agents have no other. The name of a model that aider hides stays, since it only has the vendor.
fn without_vendor(model: &str) -> &str {
    match model.split_once('/') {
        Some(("anthropic" | "gemini" | "mistral" | "openai", name)) if name != "REDACTED" => name,
        _ => model,
    }
}

#[cfg(test)]
mod tests;

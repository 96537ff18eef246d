//! Requests of a turn: each message once.

use std::collections::{HashMap, hash_map::Entry};

use crate::{
    Request, Usage,
    harness::claude_code::record::{Message, Record, Tokens},
};

/// Ids of Anthropic's messages start so.
const ANTHROPIC_ID: &str = "msg";

/// Ids of other providers' messages that are shorter are not unique.
const MIN_UNIQUE: usize = 16;

/// Requests in the order of their messages.
#[derive(Debug, Default)]
pub(super) struct Requests {
    messages: Vec<Counted>,
    index: HashMap<String, usize>,
}

/// A message with the requests that it took.
#[derive(Debug)]
struct Counted {
    total: u64,
    is_main_loop: bool,
    requests: Vec<Request>,
}

impl Requests {
    /// Adds the usage of a record.
    ///
    /// Records of one message repeat its usage while it streams, so the largest counts. A side conversation repeats
    /// messages of the main one under other request ids, so the message of the main one counts.
    pub(super) fn add(&mut self, record: &Record<'_>, at: i64, is_main_loop: bool) {
        let Some(message) = &record.message.0 else { return };
        let id = id(message, record);
        let requests = requests(message, &id, record, at, is_main_loop);
        let total = requests.iter().fold(Usage::default(), |sum, it| sum + it.usage).total();
        if total == 0 {
            return;
        }
        let counted = Counted { total, is_main_loop, requests };
        if id.is_empty() {
            self.messages.push(counted);
            return;
        }
        match self.index.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(self.messages.len());
                self.messages.push(counted);
            }
            Entry::Occupied(entry) => {
                let Some(known) = self.messages.get_mut(*entry.get()) else { return };
                if (known.is_main_loop, known.total) < (counted.is_main_loop, counted.total) {
                    *known = counted;
                }
            }
        }
    }

    pub(super) fn finish(self) -> Vec<Request> {
        self.messages.into_iter().flat_map(|message| message.requests).collect()
    }
}

/// Identifies a message, also in copies and in side conversations, which have other request ids.
///
/// Some gateways give all messages one id. Their input tells them apart: it is the same in all records of a message.
fn id(message: &Message<'_>, record: &Record<'_>) -> String {
    let id = message.id.as_str();
    let request = record.request_id.as_str();
    if id.starts_with(ANTHROPIC_ID) || id.len() >= MIN_UNIQUE {
        id.to_owned()
    } else if !request.is_empty() {
        request.to_owned()
    } else if !id.is_empty() {
        let usage = message.usage.0.as_ref().map(Tokens::usage).unwrap_or_default();
        format!("{id}:{}:{}", record.session_id.as_str(), usage.total_input())
    } else {
        record.uuid.as_str().to_owned()
    }
}

/// The requests that a message took.
///
/// The usage of a message is the sum of its iterations of type `message`. It lacks advisors and compactions, which are
/// iterations of other types.
fn requests(
    message: &Message<'_>,
    id: &str,
    record: &Record<'_>,
    at: i64,
    is_main_loop: bool,
) -> Vec<Request> {
    let Some(tokens) = &message.usage.0 else { return Vec::new() };
    let request = |suffix: String, model: &str, usage, is_main_loop| Request {
        id: if id.is_empty() { String::new() } else { format!("{id}{suffix}") },
        model: model.to_owned(),
        at,
        usage,
        cost_microdollars: None,
        is_main_loop,
    };
    let speed = if tokens.speed.as_str() == "fast" { "-fast" } else { "" };
    let model = &*format!("{}{speed}", message.model.as_str());
    let iterations = &tokens.iterations.0;
    let whole = tokens.usage();
    let last = last_of_several(iterations, whole);
    let mut requests = Vec::with_capacity(1);
    for (index, iteration) in iterations.iter().enumerate() {
        let usage = iteration.usage();
        match iteration.kind.as_str() {
            // The id alone is for the final context, as in records without iterations.
            "message" if last == Some(index) => {
                requests.push(request(String::new(), model, usage, is_main_loop));
            }
            "message" if last.is_some() => {
                requests.push(request(format!(":{index}"), model, usage, is_main_loop));
            }
            "advisor_message" => {
                let model = iteration.model.as_str();
                requests.push(request(format!(":advisor:{index}"), model, usage, false));
            }
            "compaction" => {
                requests.push(request(format!(":compaction:{index}"), model, usage, false));
            }
            _ => {}
        }
    }
    if last.is_none() {
        let cost = record.cost_usd.value().filter(|usd| (0.0..1e12).contains(usd));
        let mut whole = request(String::new(), model, whole, is_main_loop);
        whole.cost_microdollars = cost.map(|usd| (usd * 1e6).round() as u64);
        requests.push(whole);
    }
    requests.retain(|request| request.usage.total() > 0);
    requests
}

/// The last request to the message's own model, if there were several whose usage is known.
fn last_of_several(iterations: &[Tokens<'_>], whole: Usage) -> Option<usize> {
    let mut indices = Vec::new();
    let mut sum = Usage::default();
    for (index, iteration) in iterations.iter().enumerate() {
        if iteration.kind.as_str() == "message" {
            indices.push(index);
            sum += iteration.usage();
        }
    }
    let is_known =
        sum.total_input() == whole.total_input() && sum.total_output() == whole.total_output();
    indices.pop().filter(|_| !indices.is_empty() && is_known)
}

impl Tokens<'_> {
    fn usage(&self) -> Usage {
        let written = self.cache_creation.0.as_ref();
        let cache_write_1h = written.map_or(0, |it| it.ephemeral_1h_input_tokens.count());
        let for_minutes = written.map_or(0, |it| it.ephemeral_5m_input_tokens.count());
        let all_written = self.cache_creation_input_tokens.count();
        let all_output = self.output_tokens.count();
        let thinking = self.output_tokens_details.0.as_ref();
        let reasoning = thinking.map_or(0, |it| it.thinking_tokens.count()).min(all_output);
        Usage {
            input: self.input_tokens.count(),
            cache_read: self.cache_read_input_tokens.count(),
            cache_write: all_written.saturating_sub(cache_write_1h).max(for_minutes),
            cache_write_1h,
            output: all_output - reasoning,
            reasoning,
        }
    }
}

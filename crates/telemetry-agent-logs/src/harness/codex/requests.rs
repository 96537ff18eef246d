//! Finds the requests of a turn.

use std::mem;

use super::{
    current::Current,
    reader::Reader,
    record::{TokenCount, UsageRecord},
    state::State,
    usage::{Count, Figures, Info, count},
};
use crate::{Request, harness::lenient::Object};

impl Reader<'_> {
    /// Handles the usage of a response, which names its session.
    pub(super) fn record_usage(&mut self, record: &UsageRecord<'_>) {
        let thread = record.thread_id.filled();
        if thread.is_some_and(|thread| thread != self.state.thread) {
            return;
        }
        let is_copy = match &self.current {
            Some(current) => current.is_copy(&self.state),
            None => self.state.is_fork,
        };
        if is_copy && thread.is_none() {
            return;
        }
        if self.current.is_none() {
            self.open();
        }
        let Some(current) = &mut self.current else { return };
        if current.id.is_none() && !current.has_requests() {
            current.id = record.turn_id.filled().map(str::to_owned);
        }
        let turn = record.turn_id.filled().unwrap_or(&self.state.thread);
        let id = record.response_id.filled().map(|response| [turn, "/", response].concat());
        match Figures::of(&record.usage) {
            Some(figures) if figures.is_empty() => {}
            Some(figures) => {
                let model = record.model.filled().unwrap_or(&self.state.model);
                let request = request(id.unwrap_or_default(), model, &self.state, &figures);
                current.record(request);
                current.has_failed = false;
            }
            None => current.turn.notes.has_unknown_usage = true,
        }
    }

    /// Keeps the `token_count` with a total to read it later. False if it has to be read now.
    ///
    /// A turn that has the usage of its responses is not counted by totals: only the last one is needed, by the next
    /// turn.
    pub(super) fn puts_off(&mut self, count: &[u8]) -> bool {
        let is_counted = |it: &Current| it.recorded.is_empty() || it.has_failed;
        if self.state.is_fork || self.current.as_ref().is_none_or(is_counted) {
            return false;
        }
        self.unread_total.clear();
        self.unread_total.extend_from_slice(count);
        true
    }

    /// Reads the total that was put off.
    pub(super) fn catch_up(&mut self) {
        let unread = mem::take(&mut self.unread_total);
        if let Ok(TokenCount { info: Object(Some(info)) }) = serde_json::from_slice(&unread) {
            count(&info, &mut self.state.total);
            self.set_window(&info);
        }
    }

    /// Handles a running total.
    pub(super) fn count_usage(&mut self, info: &Info) {
        self.catch_up();
        let mut total = self.state.total;
        let is_first = total.is_none();
        let count = count(info, &mut total);
        let is_copy = match &self.current {
            Some(current) => current.is_copy(&self.state),
            None => self.state.is_fork,
        };
        // The first total of a fork starts with that of the other session.
        let is_baseline = self.state.is_fork && is_first && info.last().is_none();
        if is_copy || is_baseline || self.current.is_none() && count == Count::Nothing {
            self.state.total = total;
            return;
        }
        if self.current.is_none() {
            self.open();
        }
        self.state.total = total;
        self.set_window(info);
        let Some(current) = &mut self.current else { return };
        current.has_gap |= matches!(count, Count::RequestAndGap(_) | Count::Unknown);
        if let Count::Request(figures) | Count::RequestAndGap(figures) = count {
            let id = self.state.id_of_total();
            current.counted.push(request(id, &self.state.model, &self.state, &figures));
            current.has_failed = false;
        }
    }

    fn set_window(&mut self, info: &Info) {
        self.state.window = info.model_context_window.positive().or(self.state.window);
        if let Some(current) = &mut self.current {
            current.turn.context_window = self.state.window;
        }
    }
}

fn request(id: String, model: &str, state: &State, figures: &Figures) -> Request {
    let speed = match &*state.tier {
        "fast" | "priority" => "-fast",
        "flex" => "-flex",
        _ => "",
    };
    Request {
        id,
        model: [model, speed].concat(),
        at: state.now(),
        usage: figures.usage(),
        cost_microdollars: None,
        is_main_loop: true,
    }
}

//! Reading of events that other processes left in the spool.

use std::{
    mem,
    time::{Duration, Instant},
};

use telemetry_spool::{Drain, Error, Spool, Writer};

use crate::{
    clock,
    event_buffer::{Event, EventBuffer, backlog::Backlog},
    protocol::Json,
    stats::Health,
};

/// Time between two looks for events of other processes.
const INTERVAL: Duration = Duration::from_secs(30);

/// Reads a batch of events, and the next one when the submitter has done with it.
#[derive(Debug)]
pub(super) struct Recovery {
    batch_size: usize,
    /// Held while there are events to deliver.
    drain: Option<Drain>,
    /// Events that were read, and wait until the others are delivered.
    waiting: Vec<Event>,
    json: Json,
    /// Number in the backlog of the first event that is not acknowledged.
    first: u64,
    /// For each event that is not acknowledged, its number of records: itself, and those before it that are no events.
    records: Vec<usize>,
    /// Time of the next look.
    next_at: Option<Instant>,
    /// The last look has failed.
    has_failed: bool,
}

impl Recovery {
    pub(super) fn new(batch_size: usize) -> Self {
        Self {
            batch_size,
            drain: None,
            waiting: Vec::new(),
            json: Json::default(),
            first: 0,
            records: Vec::new(),
            next_at: None,
            has_failed: false,
        }
    }

    pub(super) const fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    /// Acknowledges the records of events that have left the backlog, except for those that were left to the
    /// spool again. Their files are then free for other processes.
    pub(super) fn acknowledge(&mut self, buffer: &EventBuffer, backlog: &Backlog) {
        let is_refused = buffer.counters.health() == Health::Misconfigured;
        if is_refused && !buffer.is_closed() {
            // Another process may have a valid key. At a shutdown, the submitter returns them.
            buffer.return_recovered();
        }
        if self.waiting.is_empty() {
            self.acknowledge_passed_on(backlog);
        } else if is_refused || buffer.is_closed() {
            self.waiting.clear();
            self.json = Json::default();
            backlog.set_awaited(false);
            self.end();
        }
        if is_refused && self.records.is_empty() {
            self.drain = None;
        }
    }

    fn acknowledge_passed_on(&mut self, backlog: &Backlog) {
        let (end, are_returned) = backlog.take_progress();
        let done = usize::try_from(end.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let done: Vec<_> = self.records.drain(..done.min(self.records.len())).collect();
        self.first += done.len() as u64;
        if let Some(drain) = &mut self.drain {
            // If it fails, they are delivered again.
            let _ = drain.acknowledge(done.iter().sum());
            if !done.is_empty() {
                // Damaged records behind them were counted.
                backlog.set_news();
            }
        }
        if are_returned {
            self.end();
        }
    }

    fn end(&mut self) {
        self.records.clear();
        self.drain = None;
    }

    /// Passes on the next events if there are no others. Returns the time of the next call, or `None` if a wake-up
    /// comes first; or an error, once until it works again.
    pub(super) fn recover(
        &mut self,
        spool: &Spool,
        overflow: &mut Option<Writer>,
        buffer: &EventBuffer,
        backlog: &Backlog,
        now: Instant,
        unix: u64,
    ) -> Result<Option<Instant>, Error> {
        if self.records.is_empty() {
            // Files of this process are read when it has no other events.
            let is_due = self.next_at.is_none_or(|at| now >= at)
                || (overflow.is_some() && buffer.is_empty());
            if !is_due || buffer.counters.health() != Health::Good {
                // A look that is due waits for the next delivery, which wakes the writer, or for the interval.
                let next_at = self.next_at.filter(|at| *at > now);
                return Ok(next_at.or_else(|| Some(clock::after(now, INTERVAL))));
            }
            if buffer.is_empty() {
                *overflow = None;
            }
            self.next_at = Some(clock::after(now, INTERVAL));
            let has_events = self.read(spool, backlog, unix);
            // Records may be damaged or too old.
            backlog.set_news();
            let had_failed = mem::replace(&mut self.has_failed, has_events.is_err());
            match has_events {
                Ok(true) => self.next_at = None,
                Err(error) if !had_failed => return Err(error),
                Ok(false) | Err(_) => return Ok(self.next_at),
            }
        }
        // The submitter sends the others first.
        backlog.set_awaited(!self.waiting.is_empty() && !buffer.is_empty());
        if !self.waiting.is_empty() && buffer.is_empty() {
            self.first = backlog.queued();
            buffer.recover(mem::take(&mut self.waiting), mem::take(&mut self.json));
        }
        Ok(None)
    }

    /// Reads the next events. False if there are none.
    fn read(&mut self, spool: &Spool, backlog: &Backlog, unix: u64) -> Result<bool, Error> {
        loop {
            if self.drain.is_none() {
                self.drain = spool.drain(unix)?;
            }
            let Some(drain) = &mut self.drain else { return Ok(false) };
            let mut records = 0;
            for record in drain.read(self.batch_size)? {
                records += 1;
                match serde_json::from_slice(&record) {
                    Ok(event) => {
                        self.waiting.push(event);
                        self.json.push(&record);
                        self.records.push(mem::take(&mut records));
                    }
                    Err(_) => backlog.not_events.add(1),
                }
            }
            if let Some(last) = self.records.last_mut() {
                *last += records;
                return Ok(true);
            }
            if records > 0 {
                drain.acknowledge(records)?;
            } else if !self.drain.take().is_some_and(|it| it.close().unwrap_or(false)) {
                return Ok(false);
            }
        }
    }
}

//! Reading of events that other processes left in the spool.

use std::time::{Duration, Instant};

use telemetry_model::TaskCompletionEvent;
use telemetry_spool::{Drain, Error, Spool, Writer};

use crate::{
    clock,
    event_buffer::{EventBuffer, backlog::Backlog},
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
    /// Number in the backlog of the first event that is not acknowledged.
    first: u64,
    /// For each such event, its number of records: itself, and those before it that are no events.
    records: Vec<usize>,
    next_at: Option<Instant>,
}

impl Recovery {
    pub(super) const fn new(batch_size: usize) -> Self {
        Self { batch_size, drain: None, first: 0, records: Vec::new(), next_at: None }
    }

    /// Acknowledges the records of events that have left the backlog, except for those that were left to the
    /// spool again. Their files are then free for other processes.
    pub(super) fn acknowledge(&mut self, buffer: &EventBuffer, backlog: &Backlog) {
        if buffer.counters.health() == Health::Misconfigured {
            // Another process may have a valid key.
            buffer.return_recovered();
        }
        if self.records.is_empty() {
            return;
        }
        // The number of events that have left is read last: those that were returned are among them.
        let returned = backlog.take_returned();
        let end = returned.unwrap_or_else(|| backlog.acknowledged());
        let done = usize::try_from(end.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let done: Vec<_> = self.records.drain(..done.min(self.records.len())).collect();
        self.first += done.len() as u64;
        if let Some(drain) = &mut self.drain {
            // If it fails, they are delivered again.
            let _ = drain.acknowledge(done.iter().sum());
        }
        if returned.is_some() {
            self.records.clear();
            self.drain = None;
        }
    }

    /// Passes on the next events if there are no others. Returns the time of the next call, or `None` if a wake-up
    /// comes first.
    pub(super) fn read(
        &mut self,
        spool: &Spool,
        overflow: &mut Option<Writer>,
        buffer: &EventBuffer,
        backlog: &Backlog,
        now: Instant,
        unix: u64,
    ) -> Result<Option<Instant>, Error> {
        if !buffer.is_empty() {
            return Ok(None);
        }
        if self.next_at.is_some_and(|at| now < at) && overflow.is_none() {
            return Ok(self.next_at);
        }
        self.next_at = Some(clock::after(now, INTERVAL));
        if buffer.counters.health() == Health::Misconfigured {
            self.drain = None;
            return Ok(self.next_at);
        }
        // From now on, this process may read its files.
        *overflow = None;
        if self.drain.is_none() {
            self.drain = spool.drain(unix)?;
        }
        let Some(drain) = &mut self.drain else { return Ok(self.next_at) };
        let (mut events, mut records) = (Vec::new(), 0);
        for record in drain.read(self.batch_size)? {
            records += 1;
            match serde_json::from_slice::<TaskCompletionEvent>(&record) {
                Ok(event) => {
                    events.push(Box::new(event));
                    self.records.push(std::mem::take(&mut records));
                }
                Err(_) => backlog.not_events.add(1),
            }
        }
        match self.records.last_mut() {
            Some(last) => *last += records,
            None if records > 0 => {
                drain.acknowledge(records)?;
                return Ok(Some(now));
            }
            None => {
                let has_more = self.drain.take().is_some_and(|it| it.close().unwrap_or(false));
                return Ok(if has_more { Some(now) } else { self.next_at });
            }
        }
        self.first = backlog.queued();
        self.next_at = None;
        buffer.recover(events);
        Ok(None)
    }
}

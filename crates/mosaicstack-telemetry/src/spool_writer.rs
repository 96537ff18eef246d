//! The writer of the spool: keeps tracked events in files until they are delivered, and reads those that other
//! processes left.

mod recovery;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    ops::Range,
    process,
    sync::{Arc, OnceLock},
    thread::{self, Thread},
    time::{Duration, Instant, SystemTime},
};

use telemetry_spool::{AppendError, Error, Spool, Writer};

use self::recovery::Recovery;
use crate::{
    clock,
    config::{
        TelemetryConfig,
        spool::{Destination, unix_millis},
    },
    event_buffer::{Event, EventBuffer, backlog::Backlog},
};

/// Time after a write in which further events are collected, for one write.
const COLLECT: Duration = Duration::from_millis(10);

/// Time after a failure in which events stay in memory.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The largest number of events in one write.
const MAX_APPENDED: usize = 256;

/// Upper size of most events in JSON.
const EVENT_BYTES: usize = 900;

/// Keeps the events of a client in the spool of its configuration. Returned by
/// [`Submitter::with_spool`](crate::sans_io::Submitter::with_spool).
///
/// File operations may block, so [`run`](Self::run) needs a separate thread. It ends after the end of the
/// submitter, when the handle has been shut down.
pub struct SpoolWriter {
    buffer: Arc<EventBuffer>,
    destination: Destination,
    waker: Arc<WriterWaker>,
    wake_submitter: Box<dyn Fn() + Send>,
    /// `None` until it could be opened.
    spool: Option<Spool>,
    /// Time of the next attempt after a failure.
    retry_at: Option<Instant>,
    /// Writes the events in the backlog.
    live: Option<Writer>,
    marks: VecDeque<Mark>,
    /// Writes events for which the backlog has no room. Closed before they are read back.
    overflow: Option<Writer>,
    recovery: Recovery,
}

/// Consecutive events in the backlog that are in a file.
#[derive(Debug)]
struct Mark {
    /// Their numbers in the backlog.
    events: Range<u64>,
    /// The number of the last one among the records of the writer.
    last: u64,
}

/// Wakes the thread of a [`SpoolWriter`].
#[derive(Debug, Default)]
pub(crate) struct WriterWaker(OnceLock<(Thread, u32)>);

impl WriterWaker {
    pub(crate) fn wake(&self) {
        // A forked child has no such thread.
        if let Some((thread, _)) = self.0.get().filter(|(_, process)| *process == process::id()) {
            thread.unpark();
        }
    }
}

impl SpoolWriter {
    /// A writer for a buffer with a backlog. `wake_submitter` makes the driver call
    /// [`poll`](crate::sans_io::Submitter::poll).
    pub(crate) fn new(
        config: &TelemetryConfig,
        destination: Destination,
        buffer: Arc<EventBuffer>,
        waker: Arc<WriterWaker>,
        wake_submitter: impl Fn() + Send + 'static,
    ) -> Self {
        Self {
            buffer,
            destination,
            waker,
            wake_submitter: Box::new(wake_submitter),
            spool: None,
            retry_at: None,
            live: None,
            marks: VecDeque::new(),
            overflow: None,
            recovery: Recovery::new(config.batch_size),
        }
    }

    /// Writes and reads on this thread until the client has ended.
    pub fn run(mut self) {
        let _ = self.waker.0.set((thread::current(), process::id()));
        while let Some(wake_at) = self.step(clock::now(), clock::wall()) {
            thread::park_timeout(wake_at.saturating_duration_since(clock::now()));
        }
    }

    /// Does what there is to do. Returns the time of the next call, unless woken before; `None` at the end.
    pub(crate) fn step(&mut self, now: Instant, wall: SystemTime) -> Option<Instant> {
        let buffer = Arc::clone(&self.buffer);
        let backlog = buffer.backlog()?;
        let unix = unix_millis(wall);
        // Read first: what was done before is acknowledged and written below.
        let (is_closed, is_abandoned) = (buffer.is_closed(), backlog.is_abandoned());
        self.open(now);
        self.acknowledge(backlog.acknowledged());
        self.recovery.acknowledge(&buffer, backlog);
        let mut has_moved = false;
        while self.pass_on(&buffer, backlog, now, unix) {
            has_moved = true;
        }
        if is_closed && is_abandoned {
            return None;
        }
        let recover_at = if is_closed { None } else { self.recover(&buffer, backlog, now, unix) };
        // Also if nothing has moved: `track` reports evictions and a missing thread through this writer.
        (self.wake_submitter)();
        if has_moved {
            let wait = if buffer.is_filling() { Duration::ZERO } else { COLLECT };
            return Some(clock::after(now, wait));
        }
        if buffer.rearm_writer() && (backlog.room() > 0 || self.is_usable()) {
            return Some(now);
        }
        let far = clock::after(now, Duration::MAX);
        Some([self.retry_at, recover_at].into_iter().flatten().min().unwrap_or(far))
    }

    const fn is_usable(&self) -> bool {
        self.spool.is_some() && self.retry_at.is_none()
    }

    fn open(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        self.retry_at = None;
        if self.spool.is_none() {
            match self.destination.open() {
                Ok(spool) => self.use_spool(spool),
                Err(error) => self.failed(now, &error),
            }
        }
    }

    pub(crate) fn use_spool(&mut self, spool: Spool) {
        self.live = Some(spool.writer());
        if let Some(backlog) = self.buffer.backlog() {
            backlog.set_spool(spool.clone());
        }
        self.spool = Some(spool);
    }

    fn failed(&mut self, now: Instant, error: &Error) {
        if let Some(backlog) = self.buffer.backlog() {
            backlog.spool_failed(error);
        }
        self.retry_at = Some(clock::after(now, PAUSE_AFTER_FAILURE));
    }

    /// Acknowledges the records of the events before `left`, which have left the backlog.
    fn acknowledge(&mut self, left: u64) {
        let mut through = None;
        while let Some(Mark { events, last }) = self.marks.front()
            && events.start < left
        {
            through = Some(last - events.end.saturating_sub(left));
            if events.end > left {
                break;
            }
            self.marks.pop_front();
        }
        if let (Some(live), Some(through)) = (&mut self.live, through) {
            // If it fails, another process delivers them again.
            let _ = live.acknowledge(through);
        }
    }

    /// Writes tracked events, and passes them on. Without room in the backlog, they are left to the spool. False if
    /// there are none, or neither is possible.
    fn pass_on(
        &mut self,
        buffer: &EventBuffer,
        backlog: &Backlog,
        now: Instant,
        unix: u64,
    ) -> bool {
        let room = backlog.room();
        if room > 0 {
            let Some(batch) = buffer.take_tracked(room.min(MAX_APPENDED)) else { return false };
            let (stored, last) = self.append(&batch, Target::Live, now, unix);
            if stored > 0 {
                let start = backlog.queued();
                self.marks.push_back(Mark { events: start..start + stored as u64, last });
            }
            buffer.pass_on(batch, stored);
            return true;
        }
        if !self.is_usable() {
            return false;
        }
        let Some(batch) = buffer.take_tracked(MAX_APPENDED) else { return false };
        let (stored, _) = self.append(&batch, Target::Overflow, now, unix);
        buffer.leave_to_spool(batch, stored);
        stored > 0
    }

    /// Returns the number of the first events that are in a file, and the number of the last one there.
    fn append(
        &mut self,
        events: &[Event],
        target: Target,
        now: Instant,
        unix: u64,
    ) -> (usize, u64) {
        let writer = match (&self.spool, target) {
            _ if self.retry_at.is_some() => None,
            (_, Target::Live) => self.live.as_mut(),
            (Some(spool), Target::Overflow) => {
                Some(self.overflow.get_or_insert_with(|| spool.writer()))
            }
            (None, Target::Overflow) => None,
        };
        let Some(writer) = writer else { return (0, 0) };
        let (mut json, mut ends) = (Vec::with_capacity(EVENT_BYTES * events.len()), vec![0]);
        for event in events {
            event.write_json(&mut json);
            ends.push(json.len());
        }
        let records: Vec<&[u8]> = ends.windows(2).map(|it| &json[it[0]..it[1]]).collect();
        let written = match writer.append(&records, unix) {
            Ok(written) => {
                if let Some(backlog) = self.buffer.backlog() {
                    backlog.spool_works();
                }
                written
            }
            Err(AppendError { written, error, .. }) => {
                self.failed(now, &error);
                written
            }
        };
        (written.clone().count(), written.end.saturating_sub(1))
    }

    /// Reads what other processes left, if there are no other events. Returns the time of the next attempt.
    fn recover(
        &mut self,
        buffer: &EventBuffer,
        backlog: &Backlog,
        now: Instant,
        unix: u64,
    ) -> Option<Instant> {
        let spool = self.spool.as_ref()?;
        let result = self.recovery.recover(spool, &mut self.overflow, buffer, backlog, now, unix);
        result.unwrap_or_else(|error| {
            self.failed(now, &error);
            self.retry_at
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Live,
    Overflow,
}

impl fmt::Debug for SpoolWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolWriter").field("spool", &self.spool).finish_non_exhaustive()
    }
}

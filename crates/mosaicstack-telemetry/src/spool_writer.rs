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
    event_buffer::{EventBuffer, backlog::Backlog},
    protocol::Json,
};

/// Time after events were passed on in which further ones are collected.
const COLLECT: Duration = Duration::from_millis(10);

/// Age at which events are written, if they are not delivered yet.
const WRITE_AFTER: Duration = Duration::from_millis(50);

/// Time after a failure in which events stay in memory.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The largest number of events that are passed on, or written, at once.
const MAX_EVENTS: usize = 100;

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
    unwritten: VecDeque<Unwritten>,
    marks: VecDeque<Mark>,
    /// Writes events for which the backlog has no room. Closed before they are read back.
    overflow: Option<Writer>,
    recovery: Recovery,
}

/// Consecutive events in the backlog that are in no file.
#[derive(Debug)]
struct Unwritten {
    /// Number of the first one in the backlog, and in `json`.
    first: u64,
    json_from: usize,
    json: Arc<Json>,
    /// When they are to be written.
    due: Instant,
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
            unwritten: VecDeque::new(),
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
        backlog.set_writer_waiting(true);
        // Read first: what was done before is acknowledged and written below.
        let (is_closed, is_abandoned) = (buffer.is_closed(), backlog.is_abandoned());
        self.open(now);
        self.acknowledge(backlog.acknowledged());
        self.recovery.acknowledge(&buffer, backlog);
        let mut has_moved = false;
        while self.pass_on(&buffer, backlog, now, unix) {
            has_moved = true;
        }
        let is_over = is_closed && is_abandoned;
        let write_at = self.write(backlog, now, unix, is_over);
        if is_over {
            return None;
        }
        let recover_at = if is_closed { None } else { self.recover(&buffer, backlog, now, unix) };
        let needs_room = backlog.room() == 0 || self.overflow.is_some();
        backlog.set_writer_waiting(needs_room || self.recovery.is_waiting());
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
        Some([self.retry_at, write_at, recover_at].into_iter().flatten().min().unwrap_or(far))
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

    /// Passes tracked events on. Without room in the backlog, they are written and left to the spool. False if there
    /// are none, or neither is possible.
    fn pass_on(
        &mut self,
        buffer: &EventBuffer,
        backlog: &Backlog,
        now: Instant,
        unix: u64,
    ) -> bool {
        let room = backlog.room();
        if room > 0 {
            let Some(batch) = buffer.take_tracked(room.min(MAX_EVENTS)) else { return false };
            let json = Arc::new(Json::of(&batch));
            self.unwritten.push_back(Unwritten {
                first: backlog.queued(),
                json_from: 0,
                json: Arc::clone(&json),
                due: clock::after(now, WRITE_AFTER),
            });
            buffer.pass_on(batch, json);
            return true;
        }
        let Some(spool) = self.spool.as_ref().filter(|_| self.retry_at.is_none()) else {
            return false;
        };
        let Some(batch) = buffer.take_tracked(MAX_EVENTS) else { return false };
        let json = Json::of(&batch);
        let records: Vec<_> = (0..json.len()).map(|at| json.get(at)).collect();
        let overflow = self.overflow.get_or_insert_with(|| spool.writer());
        let result = overflow.append(&records, unix);
        let stored = self.written(backlog, now, result).count();
        buffer.leave_to_spool(batch, stored);
        stored > 0
    }

    /// Writes the events in the backlog that are old enough, or all of them. Returns the time of the next call.
    fn write(
        &mut self,
        backlog: &Backlog,
        now: Instant,
        unix: u64,
        is_over: bool,
    ) -> Option<Instant> {
        self.skip_unwritten(backlog.acknowledged());
        loop {
            let Unwritten { first, due, .. } = *self.unwritten.front()?;
            if now < due && !is_over {
                return Some(due);
            }
            let Some(live) = self.live.as_mut().filter(|_| self.retry_at.is_none()) else {
                return self.retry_at;
            };
            let records = self
                .unwritten
                .iter()
                .flat_map(|it| (it.json_from..it.json.len()).map(|at| it.json.get(at)));
            let records: Vec<_> = records.take(MAX_EVENTS).collect();
            let result = live.append(&records, unix);
            let written = self.written(backlog, now, result);
            let end = first + written.clone().count() as u64;
            if let Some(last) = written.last() {
                self.marks.push_back(Mark { events: first..end, last });
                backlog.set_stored(end);
                self.skip_unwritten(end);
            }
        }
    }

    /// Forgets the events before this number.
    fn skip_unwritten(&mut self, end: u64) {
        while let Some(front) = self.unwritten.front_mut() {
            let done = usize::try_from(end.saturating_sub(front.first)).unwrap_or(usize::MAX);
            if done < front.json.len() - front.json_from {
                front.first += done as u64;
                front.json_from += done;
                break;
            }
            self.unwritten.pop_front();
        }
    }

    /// The numbers of the records that were written.
    fn written(
        &mut self,
        backlog: &Backlog,
        now: Instant,
        result: Result<Range<u64>, AppendError>,
    ) -> Range<u64> {
        match result {
            Ok(written) => {
                backlog.spool_works();
                written
            }
            Err(AppendError { written, error, .. }) => {
                self.failed(now, &error);
                written
            }
        }
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

impl fmt::Debug for SpoolWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolWriter").field("spool", &self.spool).finish_non_exhaustive()
    }
}

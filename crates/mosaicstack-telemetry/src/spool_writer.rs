//! The writer of the spool: keeps tracked events in files until they are delivered, and reads those that other
//! processes left.

mod live;
mod recovery;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{
    fmt, mem, process,
    sync::{Arc, OnceLock},
    thread::{self, Thread},
    time::{Duration, Instant, SystemTime},
};

use telemetry_spool::{Error, Spool, Writer};

use self::{
    live::{Live, written},
    recovery::Recovery,
};
use crate::{
    clock,
    config::{
        TelemetryConfig,
        spool::{Destination, unix_millis},
    },
    event_buffer::{EventBuffer, backlog::Backlog},
    panics,
    protocol::Json,
};

/// Time after the first event of a burst in which others follow, as a rule. Passed on one by one, they would cost a
/// wake-up of the submitter each.
const BURST: Duration = Duration::from_millis(1);

/// Time after events were passed on in which further ones are collected.
const COLLECT: Duration = Duration::from_millis(10);

/// Age at which events are written, if they are not delivered yet.
const WRITE_AFTER: Duration = Duration::from_millis(50);

/// Time after a failure in which events stay in memory.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Pause after a panic, which could come again.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

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
    /// `track` wakes this writer.
    is_armed: bool,
    live: Live,
    /// Writes events for which the backlog has no room. Closed before they are read back.
    overflow: Option<Writer>,
    recovery: Recovery,
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
            is_armed: false,
            live: Live::default(),
            overflow: None,
            recovery: Recovery::new(config.batch_size),
        }
    }

    /// Writes and reads on this thread until the client has ended.
    pub fn run(mut self) {
        let _ = self.waker.0.set((thread::current(), process::id()));
        loop {
            // The wake-up of a custom driver may panic.
            let step = panics::catch(|| self.step(clock::now(), clock::wall()));
            let wait = match step {
                Ok(Some(wake_at)) => wake_at.saturating_duration_since(clock::now()),
                Ok(None) => break,
                Err(_) => {
                    self.buffer.count_panic();
                    PAUSE_AFTER_PANIC
                }
            };
            thread::park_timeout(wait);
        }
    }

    /// Does what there is to do. Returns the time of the next call, unless woken before; `None` at the end.
    pub(crate) fn step(&mut self, now: Instant, wall: SystemTime) -> Option<Instant> {
        let buffer = Arc::clone(&self.buffer);
        let backlog = buffer.backlog()?;
        let unix = unix_millis(wall);
        backlog.set_writer_waiting(false);
        // Read first: what was done before is acknowledged and written below.
        let (is_closed, is_abandoned) = (buffer.is_closed(), backlog.is_abandoned());
        self.open(now);
        self.live.acknowledge(backlog.acknowledged());
        self.recovery.acknowledge(&buffer, backlog);
        let mut has_moved = false;
        let is_first = mem::take(&mut self.is_armed) && buffer.has_tracked();
        let is_burst = is_first && !buffer.is_urgent() && !buffer.is_filling();
        while !is_burst && self.pass_on(&buffer, backlog, now, unix) {
            has_moved = true;
        }
        let is_over = is_closed && is_abandoned;
        let write_at = self.write(backlog, now, unix, is_over);
        if is_over {
            return None;
        }
        let recover_at = if is_closed { None } else { self.recover(&buffer, backlog, now, unix) };
        if backlog.take_news() {
            (self.wake_submitter)();
        }
        if is_burst {
            return Some(clock::after(now, BURST));
        }
        if has_moved {
            // If there is room meanwhile, it is found after the wait.
            backlog.set_writer_waiting(backlog.room() == 0 && buffer.has_tracked());
            let wait = if buffer.is_filling() { Duration::ZERO } else { COLLECT };
            return Some(clock::after(now, wait));
        }
        if buffer.rearm_writer() {
            backlog.set_writer_waiting(true);
            if backlog.room() > 0 || self.is_usable() {
                return Some(now);
            }
        }
        self.is_armed = true;
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
        self.live.set_writer(spool.writer());
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
            let json = Arc::new(mem::take(&mut self.live.spare).with(&batch));
            let due = clock::after(now, WRITE_AFTER);
            self.live.add(backlog.queued(), Arc::clone(&json), due);
            buffer.pass_on(batch, json);
            return true;
        }
        let Some(spool) = self.spool.as_ref().filter(|_| self.retry_at.is_none()) else {
            return false;
        };
        let Some(batch) = buffer.take_tracked(MAX_EVENTS) else { return false };
        let json = Json::of(&batch);
        let records: Vec<_> = json.iter().collect();
        let overflow = self.overflow.get_or_insert_with(|| spool.writer());
        let (written, result) = written(overflow.append(&records, unix));
        match result {
            Ok(()) => backlog.spool_works(),
            Err(error) => self.failed(now, &error),
        }
        let stored = written.count();
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
        if self.retry_at.is_none() || is_over {
            let now_if_running = (!is_over).then_some(now);
            if let Err(error) = self.live.write(backlog, now_if_running, unix) {
                self.failed(now, &error);
            }
        }
        if self.retry_at.is_some() { None } else { self.live.due() }
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
            // It may be possible to write nevertheless.
            backlog.spool_failed(&error);
            self.recovery.next_at()
        })
    }
}

impl fmt::Debug for SpoolWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolWriter").field("spool", &self.spool).finish_non_exhaustive()
    }
}

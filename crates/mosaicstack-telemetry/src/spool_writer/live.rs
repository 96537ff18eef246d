//! The files of the events in the backlog.

use std::{collections::VecDeque, ops::Range, sync::Arc, time::Instant};

use telemetry_spool::{AppendError, Error, Writer};

use super::MAX_EVENTS;
use crate::{event_buffer::backlog::Backlog, protocol::Json};

/// Writes the events that stay in the backlog, and acknowledges them when they have left it.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// `None` until the spool could be opened.
    writer: Option<Writer>,
    unwritten: VecDeque<Unwritten>,
    marks: VecDeque<Mark>,
    /// Memory for further events. If each batch allocated its own, glibc would return it to the system each time, which
    /// costs as much as encoding.
    pub(super) spare: Json,
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

impl Live {
    pub(super) fn set_writer(&mut self, writer: Writer) {
        self.writer = Some(writer);
    }

    /// Adds events that are to be written, the first of which has this number in the backlog.
    pub(super) fn add(&mut self, first: u64, json: Arc<Json>, due: Instant) {
        self.unwritten.push_back(Unwritten { first, json_from: 0, json, due });
    }

    /// When events are to be written.
    pub(super) fn due(&self) -> Option<Instant> {
        self.unwritten.front().map(|it| it.due)
    }

    /// Acknowledges the events before `left`, which have left the backlog.
    pub(super) fn acknowledge(&mut self, left: u64) {
        skip(&mut self.unwritten, left, &mut self.spare);
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
        if let (Some(writer), Some(through)) = (&mut self.writer, through) {
            // If it fails, another process delivers them again.
            let _ = writer.acknowledge(through);
        }
    }

    /// Writes the events that are due, or all of them without a time; nothing before the spool could be opened.
    pub(super) fn write(
        &mut self,
        backlog: &Backlog,
        now: Option<Instant>,
        unix: u64,
    ) -> Result<(), Error> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        while let Some(&Unwritten { first, due, .. }) = self.unwritten.front()
            && now.is_none_or(|now| now >= due)
        {
            let unwritten = self.unwritten.iter();
            let records = unwritten.flat_map(|it| it.json.iter().skip(it.json_from));
            let records: Vec<_> = records.take(MAX_EVENTS).collect();
            let (written, result) = written(writer.append(&records, unix));
            let end = first + written.clone().count() as u64;
            if let Some(last) = written.last() {
                self.marks.push_back(Mark { events: first..end, last });
                backlog.set_stored(end);
            }
            skip(&mut self.unwritten, end, &mut self.spare);
            result?;
            backlog.spool_works();
        }
        Ok(())
    }
}

/// Forgets the events before this number.
fn skip(unwritten: &mut VecDeque<Unwritten>, end: u64, spare: &mut Json) {
    while let Some(front) = unwritten.front_mut() {
        let done = usize::try_from(end.saturating_sub(front.first)).unwrap_or(usize::MAX);
        if done < front.json.len() - front.json_from {
            front.first += done as u64;
            front.json_from += done;
            break;
        }
        if let Some(json) = unwritten.pop_front().and_then(|it| Arc::into_inner(it.json)) {
            *spare = json.cleared();
        }
    }
}

/// The numbers of the records that were written, and why not all of them.
pub(super) fn written(result: Result<Range<u64>, AppendError>) -> (Range<u64>, Result<(), Error>) {
    match result {
        Ok(written) => (written, Ok(())),
        Err(AppendError { written, error, .. }) => (written, Err(error)),
    }
}

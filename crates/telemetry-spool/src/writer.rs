//! Writing, by a process that lives on.

use std::{collections::VecDeque, io, ops::Range, sync::Arc};

use crate::{
    AppendError, Error, SyncPolicy, bounds,
    format::{HEAD, MAX_RECORD_BYTES, check_length},
    segment::{SEGMENT_BYTES, Segment},
    shared::Shared,
};

/// Appends records, and removes their files when they are acknowledged.
///
/// Holds the lock of its files, so that no drain takes its records. They are left to drains when the writer is
/// dropped or the process ends. One descriptor is open for each 256 KiB that are not acknowledged.
///
/// Do not use a writer in a forked child: it would remove the files of the parent.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    /// In the order of their records, which are consecutive. All but the last are full or have failed.
    segments: VecDeque<Live>,
    /// Sequence number of the next record.
    next: u64,
    acknowledged: u64,
}

#[derive(Debug)]
struct Live {
    segment: Segment,
    /// Sequence number before that of the first record.
    base: u64,
    /// Sequence number of the last record.
    last: u64,
    len: usize,
    /// A write has failed: no record is appended any more, since it could follow a part of one. Acknowledgements are,
    /// because readers find them behind one.
    is_sealed: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, segments: VecDeque::new(), next: 1, acknowledged: 0 }
    }

    /// Appends records in one write, or one for each file if they need several. Returns their sequence numbers, which
    /// count from 1 in each writer.
    ///
    /// The records then survive the end of the process, and with [`SyncPolicy::Always`] that of the system.
    ///
    /// # Errors
    ///
    /// Some records are not in the spool. [`AppendError::written`] has the numbers of those that are. Call again
    /// with the others, which then get into a new file.
    pub fn append<R: AsRef<[u8]>>(
        &mut self,
        records: &[R],
        now: u64,
    ) -> Result<Range<u64>, AppendError> {
        let first = self.next;
        let mut rest = records;
        while !rest.is_empty() {
            let before = self.next;
            let result = self.append_some(rest, now);
            let written = self.next - before;
            self.shared.counters.written.add(written);
            rest = usize::try_from(written).ok().and_then(|it| rest.get(it..)).unwrap_or_default();
            if let Err(error) = result {
                return Err(AppendError { written: first..self.next, error });
            }
        }
        Ok(first..self.next)
    }

    /// Writes the first records of a batch to one file, or none if the file cannot be used any more.
    fn append_some<R: AsRef<[u8]>>(&mut self, records: &[R], now: u64) -> Result<(), Error> {
        let mut bytes = Vec::new();
        if let Some(live) = self.segments.back().filter(|it| !it.is_sealed) {
            let room = SEGMENT_BYTES.saturating_sub(live.len);
            let sequence = self.next - live.base;
            let ends = encode(&self.shared, records, sequence, room, &mut bytes)?;
            if !ends.is_empty() {
                return self.extend(&bytes, &ends);
            }
        }
        let ends = encode(&self.shared, records, 1, SEGMENT_BYTES, &mut bytes)?;
        // The chance of a check is that of what was written since the last one.
        bounds::check(&self.shared, self.segments.back().map_or(0, |it| it.len), now)?;
        let is_durable = self.shared.options.sync == SyncPolicy::Always;
        let segment = Segment::create(&self.shared, &bytes, is_durable, now)?;
        let (base, last) = (self.next - 1, self.next - 1 + ends.len() as u64);
        self.segments.push_back(Live { segment, base, last, len: bytes.len(), is_sealed: false });
        self.next = last + 1;
        Ok(())
    }

    fn extend(&mut self, bytes: &[u8], ends: &[usize]) -> Result<(), Error> {
        let Some(live) = self.segments.back_mut() else { return Ok(()) };
        let (disk, segment) = (&self.shared.disk, &live.segment);
        let Some(before) = disk.len(&segment.file, &segment.path)? else {
            // A program that cleans folders has removed it. The next attempt takes a new one.
            live.is_sealed = true;
            return Ok(());
        };
        let result = disk.write(&segment.file, &segment.path, bytes);
        let written = result.as_ref().map_or(0, |it| *it);
        let mut whole = ends.iter().take_while(|end| **end <= written).count();
        let mut result = match result {
            Ok(len) if len < bytes.len() => {
                Err(segment.error("write to", io::ErrorKind::WriteZero))
            }
            result => result.map(drop),
        };
        if result.is_ok() && self.shared.options.sync == SyncPolicy::Always {
            result = disk.sync(&segment.file, &segment.path);
            if result.is_err() {
                whole = 0;
            }
        }
        let len = whole.checked_sub(1).and_then(|it| ends.get(it)).copied().unwrap_or_default();
        if result.is_err() {
            // What is left would be read as damage, or as records that the caller keeps.
            live.is_sealed = true;
            let _ = disk.truncate(&segment.file, &segment.path, before + len as u64);
        }
        live.len += len;
        live.last += whole as u64;
        self.next = live.last + 1;
        result
    }

    /// Acknowledges all records up to the sequence number `through`: they are delivered, or not needed any more.
    ///
    /// Files with nothing else are removed.
    ///
    /// # Errors
    ///
    /// A file could not be removed, or changed: records can be delivered again after the end of this process.
    pub fn acknowledge(&mut self, through: u64) -> Result<(), Error> {
        let through = through.min(self.next - 1);
        if through <= self.acknowledged {
            return Ok(());
        }
        self.shared.counters.acknowledged.add(through - self.acknowledged);
        self.acknowledged = through;
        let mut result = Ok(());
        while self.segments.front().is_some_and(|it| it.last <= through)
            && let Some(live) = self.segments.pop_front()
        {
            let removed = self.shared.disk.remove(&live.segment.path);
            if removed.is_err() {
                // Then a drain removes it.
                let _ = live.segment.acknowledge(&self.shared, live.last - live.base);
            }
            result = result.and(removed);
        }
        if let Some(live) = self.segments.front_mut().filter(|it| it.base < through) {
            let appended = live.segment.acknowledge(&self.shared, through - live.base);
            live.len += HEAD;
            result = result.and(appended);
        }
        result
    }

    /// The number of records that are not acknowledged.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.next - 1 - self.acknowledged
    }

    /// Leaves the records that are not acknowledged to drains, as dropping does.
    ///
    /// # Errors
    ///
    /// With [`SyncPolicy::OnClose`], records could not be written to the disk. They are in the files nevertheless.
    pub fn close(mut self) -> Result<(), Error> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), Error> {
        let segments = std::mem::take(&mut self.segments);
        if segments.is_empty() || self.shared.options.sync != SyncPolicy::OnClose {
            return Ok(());
        }
        let disk = &self.shared.disk;
        let mut result = disk.sync_folder(&self.shared.folder);
        for Live { segment, .. } in segments {
            let synced = disk.sync(&segment.file, &segment.path);
            result = result.and(synced);
        }
        result
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

/// Encodes the first of `records`, numbered from `sequence` on, as many as `room` bytes hold, and number 1 in any
/// case, since no file has more room. Returns the end of each.
fn encode<R: AsRef<[u8]>>(
    shared: &Shared,
    records: &[R],
    sequence: u64,
    room: usize,
    bytes: &mut Vec<u8>,
) -> Result<Vec<usize>, Error> {
    let mut ends = Vec::new();
    for (record, sequence) in records.iter().zip(sequence..) {
        let record = record.as_ref();
        match check_length(record.len(), MAX_RECORD_BYTES) {
            Err(error) if ends.is_empty() => return Err(error),
            Err(_) => break,
            Ok(()) if sequence > 1 && bytes.len() + HEAD + record.len() > room => break,
            Ok(()) => {}
        }
        shared.destination.write_record(bytes, sequence, record);
        ends.push(bytes.len());
    }
    Ok(ends)
}

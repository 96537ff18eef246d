//! Removal of the oldest events, and the other steps of maintenance.

use super::{
    connection::Connection,
    error::Error,
    event,
    insert::{Change, Inserted, remove_empty_series},
    samples,
};
use crate::storage::{Retention, samples::MAX_PENDING, views::UnixMillis};

/// The events that one step removes.
pub(super) const STEP: i64 = 1_000;

/// The bytes of an event in tables and indexes, besides its JSON, as measured with a million events.
pub(super) const EVENT_BYTES: u64 = 250;

/// The milliseconds after which the numbers of other collectors are read again.
const REFRESH: UnixMillis = 5_000;

/// Key of the lock that one of the collectors has while it maintains: `mtel` and a number.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(x'6d74656c00000002'::bigint)";

/// The contents of the store, as far as this collector knows.
#[derive(Debug, Default)]
pub(super) struct Usage {
    events: u64,
    bytes: u64,
    /// Events whose values are to be merged.
    pending: u64,
    read_at: UnixMillis,
}

/// The result of one step.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) removed: u64,
    pub(super) has_more: bool,
}

impl Usage {
    pub(super) fn read(connection: &mut Connection) -> Result<Self, Error> {
        let rows = connection.query(
            "SELECT coalesce(sum(tasks), 0)::bigint, coalesce(sum(bytes), 0)::bigint, \
             (SELECT coalesce(sum(cardinality(series)), 0)::bigint FROM pending) FROM totals",
            &[],
        )?;
        let row = rows.first().ok_or(Error::Damaged("no row"))?;
        let number = |column: usize| {
            let number: i64 = row.try_get(column)?;
            u64::try_from(number).map_err(|_| Error::Damaged("a sum is negative"))
        };
        Ok(Self { events: number(0)?, bytes: number(1)?, pending: number(2)?, read_at: 0 })
    }

    pub(super) const fn held(&self) -> u64 {
        self.events
    }

    pub(super) fn add(&mut self, inserted: &Inserted) {
        let count = inserted.are_new.iter().filter(|is_new| **is_new).count() as u64;
        self.events += count;
        self.pending += count;
        self.bytes += inserted.bytes;
    }

    const fn size(&self) -> u64 {
        self.bytes + self.events * EVENT_BYTES
    }

    /// Performs one step, unless another collector is performing one.
    pub(super) fn maintain(
        &mut self,
        connection: &mut Connection,
        retention: &Retention,
        now: UnixMillis,
    ) -> Result<Step, Error> {
        if now.abs_diff(self.read_at) >= REFRESH.unsigned_abs() {
            *self = Self { read_at: now, ..Self::read(connection)? };
        }
        let keep = retention.keep.map(|keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let cutoff = keep.map_or(i64::MIN, |keep| now.saturating_sub(keep));
        let is_old = "SELECT 1 FROM events WHERE received < $1 LIMIT 1";
        let cutoff = match retention.max_size {
            Some(max) if self.size() > max => i64::MAX,
            _ if keep.is_some() && !connection.query(is_old, &[&cutoff])?.is_empty() => cutoff,
            _ if self.pending >= MAX_PENDING => i64::MIN,
            _ => return Ok(Step::default()),
        };
        let is_merge = self.pending >= MAX_PENDING;
        let (mut is_busy, mut removed) = (false, Removed::default());
        let usage = connection.transaction("BEGIN", |connection| {
            let lock = connection.query(LOCK, &[])?;
            is_busy = !lock.first().ok_or(Error::Damaged("no row"))?.try_get(0)?;
            if is_busy {
                return Self::read(connection);
            }
            // Another collector may have done it meanwhile.
            let before = Self::read(connection)?;
            if is_merge {
                samples::merge_pending(connection)?;
            } else if cutoff < i64::MAX || before.size() > retention.max_size.unwrap_or(u64::MAX) {
                removed = remove(connection, cutoff)?;
            }
            Self::read(connection)
        })?;
        // By itself, since it locks rows that another transaction may have, and it holds none.
        connection
            .transaction("BEGIN", |connection| remove_empty_series(connection, &removed.empty))?;
        *self = Self { read_at: self.read_at, ..usage };
        Ok(Step { removed: removed.events, has_more: !is_busy })
    }
}

#[derive(Default)]
struct Removed {
    events: u64,
    /// The series that have none left.
    empty: Vec<i64>,
}

/// Removes the oldest events received before `cutoff`, at most [`STEP`], also from the summaries.
fn remove(connection: &mut Connection, cutoff: UnixMillis) -> Result<Removed, Error> {
    let removed = connection.query(
        "DELETE FROM events WHERE seq IN \
         (SELECT seq FROM events WHERE received < $1 ORDER BY received, seq LIMIT $2) \
         RETURNING series, json",
        &[&cutoff, &STEP],
    )?;
    let mut change = Change::default();
    for row in &removed {
        let json: &[u8] = row.try_get(1)?;
        change.add(row.try_get(0)?, &event(json)?, json.len());
    }
    change.write(connection, -1)?;
    Ok(Removed { events: removed.len() as u64, empty: change.remove_empty(connection)? })
}

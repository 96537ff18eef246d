//! Removal of the oldest events, and the other steps of maintenance.

use rusqlite::TransactionBehavior;

use super::{Error, Writer, event, open::Options, samples};
use crate::storage::{Retention, changes::Changes, samples::MAX_PENDING, views::UnixMillis};

/// The events that one step removes. At least those of a group, so that one step after each makes room.
pub(super) const STEP: u32 = 1_000;

/// The pages that one step returns to the file system.
const VACUUM_PAGES: u64 = 1_000;

/// The result of one step.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) removed: u64,
    pub(super) has_more: bool,
}

impl Writer {
    /// Performs one step.
    pub(super) fn maintain(
        &mut self,
        retention: &Retention,
        options: &Options,
        now: UnixMillis,
    ) -> Result<Step, Error> {
        if self.pending >= MAX_PENDING {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            samples::merge_pending(&transaction)?;
            transaction.commit()?;
            self.pending = 0;
            return Ok(Step { removed: 0, has_more: true });
        }
        let keep = retention.keep.map(|keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let cutoff = keep.map_or(i64::MIN, |keep| now.saturating_sub(keep));
        let removed = self.remove(cutoff, STEP)?;
        if removed > 0 {
            return Ok(Step { removed, has_more: true });
        }
        let Some(max_pages) = options.max_pages else { return Ok(Step::default()) };
        let [pages, free] = [self.pragma("page_count")?, self.pragma("freelist_count")?];
        // An eighth stays free for the events that arrive until the next step.
        if pages - free > max_pages - max_pages / 8 {
            let removed = self.remove(i64::MAX, STEP)?;
            return Ok(Step { removed, has_more: removed > 0 });
        }
        // Only after the bound was lowered: otherwise new events use the free pages.
        if pages > max_pages && free > 0 {
            self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
            return Ok(Step { removed: 0, has_more: true });
        }
        Ok(Step::default())
    }

    fn pragma(&self, name: &str) -> Result<u64, Error> {
        Ok(self.connection.pragma_query_value(None, name, |row| row.get(0))?)
    }

    /// Removes the oldest events received before `cutoff`, at most `limit`, also from the summaries.
    fn remove(&mut self, cutoff: UnixMillis, limit: u32) -> Result<u64, Error> {
        let mut select = self.connection.prepare_cached(
            "SELECT seq, series, json FROM events WHERE received < ?1 ORDER BY received, seq LIMIT ?2",
        )?;
        let mut rows = select.query((cutoff, limit))?;
        let (mut changes, mut removed) = (Changes::default(), Vec::new());
        while let Some(row) = rows.next()? {
            removed.push(row.get::<_, i64>(0)?);
            changes.add(row.get(1)?, &event(row.get_ref(2)?)?);
        }
        drop(rows);
        drop(select);
        if removed.is_empty() {
            return Ok(0);
        }
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut delete = transaction.prepare_cached("DELETE FROM events WHERE seq = ?1")?;
        for seq in &removed {
            delete.execute([seq])?;
        }
        drop(delete);
        changes.write(&transaction, -1)?;
        transaction.commit()?;
        // Those without events are removed.
        self.series.clear();
        self.pending += removed.len() as u64;
        Ok(removed.len() as u64)
    }
}

//! The tables `samples` and `pending`.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params};

use super::Error;
use crate::storage::samples::{Change, changed, unpack};

/// Merges all of `pending` into `samples`.
pub(super) fn merge_pending(transaction: &Transaction<'_>) -> Result<(), Error> {
    let mut changes = pending(transaction)?;
    changes.sort_unstable();
    let mut select = transaction.prepare_cached(
        "SELECT packed FROM samples WHERE series = ?1 AND metric = ?2 AND bucket = ?3",
    )?;
    let mut replace = transaction.prepare_cached(
        "REPLACE INTO samples (series, metric, bucket, count, packed) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut delete = transaction
        .prepare_cached("DELETE FROM samples WHERE series = ?1 AND metric = ?2 AND bucket = ?3")?;
    for changes in changes.chunk_by(|a, b| a.row() == b.row()) {
        let (series, metric, bucket) = changes[0].row();
        let key = params![series, metric, bucket];
        let packed: Option<Vec<u8>> = select.query_row(key, |row| row.get(0)).optional()?;
        let (count, packed) = changed(&packed.unwrap_or_default(), changes)?;
        if count == 0 {
            delete.execute(key)?;
        } else {
            replace.execute(params![series, metric, bucket, count, packed])?;
        }
    }
    transaction.execute("DELETE FROM pending", [])?;
    Ok(())
}

fn pending(connection: &Connection) -> Result<Vec<Change>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT series, change, input_tokens, output_tokens, cost_usd_micros, duration_ms FROM pending",
    )?;
    let mut rows = statement.query([])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let (series, change) = (row.get(0)?, row.get(1)?);
        let values = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        changes.extend(Change::of_values(series, change, values));
    }
    Ok(changes)
}

/// The number of values in each bucket of a metric of a series.
pub(super) fn counts(
    connection: &Connection,
    series: i64,
    mut add: impl FnMut(usize, u32, i64),
) -> Result<(), Error> {
    let mut statement =
        connection.prepare_cached("SELECT metric, bucket, count FROM samples WHERE series = ?1")?;
    let mut rows = statement.query([series])?;
    while let Some(row) = rows.next()? {
        add(row.get(0)?, row.get(1)?, row.get(2)?);
    }
    Ok(())
}

/// Reads buckets: each value with the number of times that it occurs.
pub(super) struct BucketReader<'c>(CachedStatement<'c>);

impl<'c> BucketReader<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Self, Error> {
        Ok(Self(connection.prepare_cached(
            "SELECT packed FROM samples WHERE series = ?1 AND metric = ?2 AND bucket = ?3",
        )?))
    }

    /// Appends the values of a bucket.
    pub(super) fn read(
        &mut self,
        series: i64,
        metric: usize,
        bucket: u32,
        values: &mut Vec<(u64, i64)>,
    ) -> Result<(), Error> {
        let mut rows = self.0.query(params![series, metric, bucket])?;
        match rows.next()? {
            Some(row) => {
                let packed = row.get_ref(0)?;
                let packed =
                    packed.as_blob().map_err(|_| Error::Damaged("values are not packed"))?;
                Ok(unpack(packed, values)?)
            }
            None => Ok(()),
        }
    }
}

//! The tables `samples` and `pending`.

use std::collections::HashMap;

use tokio_postgres::{Row, types::ToSql};

use super::{connection::Connection, error::Error};
use crate::storage::samples::{Change, METRICS, changed};

/// Merges all of `pending` into `samples`. To be called under the lock of maintenance, or without other collectors.
pub(super) fn merge_pending(connection: &mut Connection) -> Result<(), Error> {
    let rows = connection.query(
        "DELETE FROM pending RETURNING \
         change, series, input_tokens, output_tokens, cost_usd_micros, duration_ms",
        &[],
    )?;
    let mut changes = Vec::new();
    for row in &rows {
        each_value(row, |series, change, values| {
            changes.extend(Change::of_values(series, change, values));
        })?;
    }
    changes.sort_unstable();
    let by_row = || changes.chunk_by(|a, b| a.row() == b.row());
    let series: Vec<i64> = by_row().map(|of_row| of_row[0].series).collect();
    let metrics: Vec<i32> = by_row().map(|of_row| of_row[0].metric as i32).collect();
    let buckets: Vec<i32> = by_row().map(|of_row| of_row[0].bucket as i32).collect();
    let keys = "unnest($1::bigint[], $2::integer[], $3::integer[])";
    let key_values: [&(dyn ToSql + Sync); 3] = [&series, &metrics, &buckets];
    let before = connection.query(
        &format!(
            "SELECT n, packed FROM {keys} WITH ORDINALITY AS given (series, metric, bucket, n) \
             JOIN samples USING (series, metric, bucket)"
        ),
        &key_values,
    )?;
    let mut packed_before: HashMap<i64, &[u8]> = HashMap::new();
    for row in &before {
        packed_before.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let (mut counts, mut packed) = (Vec::new(), Vec::new());
    for (number, of_row) in (1..).zip(by_row()) {
        let before = packed_before.get(&number).copied().unwrap_or_default();
        let (count, values) = changed(before, of_row)?;
        counts.push(count);
        packed.push(values);
    }
    let [series, metrics, buckets] = key_values;
    connection.execute(
        "INSERT INTO samples (series, metric, bucket, count, packed) SELECT * \
         FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::bigint[], $5::bytea[]) \
         ON CONFLICT (series, metric, bucket) DO UPDATE \
         SET count = excluded.count, packed = excluded.packed",
        &[series, metrics, buckets, &counts, &packed],
    )?;
    if counts.contains(&0) {
        connection.execute(
            &format!(
                "DELETE FROM samples USING {keys} AS given (series, metric, bucket) \
                 WHERE samples.series = given.series AND samples.metric = given.metric \
                 AND samples.bucket = given.bucket AND count = 0"
            ),
            &[series, metrics, buckets],
        )?;
    }
    Ok(())
}

/// Calls `each` with the series, the change and the values of each event of a row of `pending`, whose columns
/// are the first ones.
pub(super) fn each_value(
    row: &Row,
    mut each: impl FnMut(i64, i64, [u64; METRICS]),
) -> Result<(), Error> {
    const DAMAGED: Error = Error::Damaged("the elements of a pending change do not match");
    let change: i64 = row.try_get(0)?;
    let series: Vec<i64> = row.try_get(1)?;
    let mut columns = Vec::new();
    for column in 2..2 + METRICS {
        let values: Vec<i64> = row.try_get(column)?;
        if values.len() != series.len() || values.iter().any(|value| *value < 0) {
            return Err(DAMAGED);
        }
        columns.push(values);
    }
    for (index, series) in series.into_iter().enumerate() {
        each(series, change, [0, 1, 2, 3].map(|metric| columns[metric][index].unsigned_abs()));
    }
    Ok(())
}

//! The values of metrics, packed for percentiles.
//!
//! An index over each metric would be changed at a random page by each event, at 4 KiB of log a page. So values
//! wait in the table `pending` and are merged in bulk, into rows that hold all values of a bucket.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params};

use super::Error;

/// Number of metrics: input tokens, output tokens, cost and duration.
pub(super) const METRICS: usize = 4;

/// The rows of `pending` from which on they are merged. A prediction reads all of them.
pub(super) const MAX_PENDING: u64 = 32_768;

/// Buckets for each power of two, so that a bucket holds values that differ by an eighth at most.
const BUCKETS_PER_OCTAVE: u32 = 8;

/// The bucket of a value; in the order of values.
pub(super) const fn bucket(value: u64) -> u32 {
    let Some(octave) = value.checked_ilog2() else { return 0 };
    if octave < 3 {
        return value as u32;
    }
    (octave - 2) * BUCKETS_PER_OCTAVE + ((value >> (octave - 3)) & 7) as u32
}

/// A change of the number of times that a value occurs. Sorted in the order of the rows of `samples`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    series: i64,
    metric: u32,
    bucket: u32,
    value: u64,
    change: i64,
}

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
    let of_one_row =
        |a: &Change, b: &Change| (a.series, a.metric, a.bucket) == (b.series, b.metric, b.bucket);
    let mut values = Vec::new();
    for changes in changes.chunk_by(of_one_row) {
        let key = changes[0];
        let key = params![key.series, key.metric, key.bucket];
        values.clear();
        let packed: Option<Vec<u8>> = select.query_row(key, |row| row.get(0)).optional()?;
        unpack(&packed.unwrap_or_default(), &mut values)?;
        values.extend(changes.iter().map(|it| (it.value, it.change)));
        sum_up(&mut values);
        if values.iter().any(|(_, count)| *count < 0) {
            return Err(Error::Damaged("a value occurs fewer times than it was removed"));
        }
        let count: i64 = values.iter().map(|(_, count)| count).sum();
        if count == 0 {
            delete.execute(key)?;
        } else {
            let [series, metric, bucket] = [&key[0], &key[1], &key[2]];
            replace.execute(params![series, metric, bucket, count, pack(&values)])?;
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
        for metric in 0..METRICS {
            let value = row.get(2 + metric)?;
            changes.push(Change {
                series,
                metric: metric as u32,
                bucket: bucket(value),
                value,
                change,
            });
        }
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
                unpack(packed.as_blob().map_err(|_| Error::Damaged(NO_SAMPLES))?, values)
            }
            None => Ok(()),
        }
    }
}

/// Sorts values and adds up the counts of equal ones. Those that occur no more are left out.
pub(super) fn sum_up(values: &mut Vec<(u64, i64)>) {
    // Stable, since that is fast on parts that are sorted.
    values.sort_by_key(|(value, _)| *value);
    values.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            kept.1 += next.1;
        }
        is_same
    });
    values.retain(|(_, count)| *count != 0);
}

const NO_SAMPLES: &str = "the packed values cannot be read";

/// Writes ascending values: twice the distance to the one before, plus 1 if the number of times follows,
/// because it is not 1. Each number has 7 bits in a byte, the lowest first.
fn pack(values: &[(u64, i64)]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(values.len() * 3);
    let mut before = 0;
    for &(value, count) in values {
        let is_repeated = count != 1;
        push(&mut packed, u128::from(value - before) << 1 | u128::from(is_repeated));
        if is_repeated {
            push(&mut packed, u128::from(count.unsigned_abs()));
        }
        before = value;
    }
    packed
}

fn push(packed: &mut Vec<u8>, mut number: u128) {
    while number > 0x7f {
        packed.push(number as u8 | 0x80);
        number >>= 7;
    }
    packed.push(number as u8);
}

fn unpack(mut packed: &[u8], values: &mut Vec<(u64, i64)>) -> Result<(), Error> {
    let mut value = 0_u64;
    while !packed.is_empty() {
        let number = pop(&mut packed)?;
        let count = if number & 1 == 1 { pop(&mut packed)? } else { 1 };
        let distance = u64::try_from(number >> 1).map_err(|_| Error::Damaged(NO_SAMPLES))?;
        value = value.checked_add(distance).ok_or(Error::Damaged(NO_SAMPLES))?;
        values.push((value, i64::try_from(count).map_err(|_| Error::Damaged(NO_SAMPLES))?));
    }
    Ok(())
}

fn pop(packed: &mut &[u8]) -> Result<u128, Error> {
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, rest)) = packed.split_first() {
        *packed = rest;
        number |= u128::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            return Ok(number);
        }
        if shift > 70 {
            break;
        }
    }
    Err(Error::Damaged(NO_SAMPLES))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn buckets_are_in_the_order_of_values_and_an_eighth_wide() {
        let mut values: Vec<u64> = (0..64)
            .flat_map(|bit| [0, 1, 2].map(|more| (1_u64 << bit).wrapping_add(more).wrapping_sub(1)))
            .chain(0..3_000)
            .chain([u64::MAX])
            .collect();
        values.sort_unstable();
        for pair in values.windows(2) {
            let [low, high] = [bucket(pair[0]), bucket(pair[1])];
            assert!(low <= high, "{pair:?}");
            // Values that differ by more than an eighth are in different buckets.
            assert!(low < high || pair[1] - pair[0] <= pair[0] / 8, "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn packed_values_are_unpacked(
            mut values in vec((0..64_u32, any::<u64>(), 1..300_i64), 0..50),
        ) {
            let mut values: Vec<_> =
                values.drain(..).map(|(shift, value, count)| (value >> shift, count)).collect();
            sum_up(&mut values);
            let mut unpacked = Vec::new();
            unpack(&pack(&values), &mut unpacked).unwrap();
            prop_assert_eq!(unpacked, values);
        }

        #[test]
        fn arbitrary_bytes_are_unpacked_or_damaged(packed in vec(any::<u8>(), 0..40)) {
            let _ = unpack(&packed, &mut Vec::new());
        }
    }
}

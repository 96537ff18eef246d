//! The values of metrics, packed for percentiles.
//!
//! An index over each metric would be changed at a random page by each event. So values wait in the table
//! `pending` and are merged in bulk, into rows that hold all values of a bucket.

use std::collections::BTreeMap;

use telemetry_model::TokenDistribution;

use crate::percentiles::{ranked, ranks};

/// Number of metrics: input tokens, output tokens, cost and duration.
pub(crate) const METRICS: usize = 4;

/// The rows of `pending` from which on they are merged. A prediction reads all of them.
pub(crate) const MAX_PENDING: u64 = 32_768;

/// Buckets for each power of two, so that a bucket holds values that differ by an eighth at most.
const BUCKETS_PER_OCTAVE: u32 = 8;

/// The bucket of a value; in the order of values.
pub(crate) const fn bucket(value: u64) -> u32 {
    let Some(octave) = value.checked_ilog2() else { return 0 };
    if octave < 3 {
        return value as u32;
    }
    (octave - 2) * BUCKETS_PER_OCTAVE + ((value >> (octave - 3)) & 7) as u32
}

/// A change of the number of times that a value occurs. Sorted in the order of the rows of `samples`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    pub(crate) series: i64,
    pub(crate) metric: u32,
    pub(crate) bucket: u32,
    pub(crate) value: u64,
    pub(crate) change: i64,
}

/// The contents of a store contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) &'static str);

impl Change {
    /// The changes of one event for each metric.
    pub(crate) fn of_values(
        series: i64,
        change: i64,
        values: [u64; METRICS],
    ) -> impl Iterator<Item = Self> {
        (0..).zip(values).map(move |(metric, value)| {
            let bucket = bucket(value);
            Self { series, metric, bucket, value, change }
        })
    }

    /// The row of `samples` that it belongs to.
    pub(crate) const fn row(&self) -> (i64, u32, u32) {
        (self.series, self.metric, self.bucket)
    }
}

/// The number of values of a row and its packed values after the changes; no values if the row is new or to be
/// removed.
pub(crate) fn changed(packed: &[u8], changes: &[Change]) -> Result<(i64, Vec<u8>), Damaged> {
    let mut values = Vec::new();
    unpack(packed, &mut values)?;
    values.extend(changes.iter().map(|it| (it.value, it.change)));
    sum_up(&mut values);
    if values.iter().any(|(_, count)| *count < 0) {
        return Err(Damaged("a value occurs fewer times than it was removed"));
    }
    Ok((values.iter().map(|(_, count)| count).sum(), pack(&values)))
}

/// The values at ascending ranks, from the number of values in each bucket, and the buckets as they are needed.
fn values_at<E: From<Damaged>>(
    ranks: &[u64],
    counts: &BTreeMap<u32, i64>,
    mut read: impl FnMut(u32) -> Result<Vec<(u64, i64)>, E>,
) -> Result<Vec<u64>, E> {
    let mut ranks = ranks.iter().copied().peekable();
    let mut found = Vec::new();
    let mut before = 0;
    for (bucket, count) in counts {
        let count = u64::try_from(*count).map_err(|_| MISSING)?;
        if ranks.peek().is_some_and(|rank| *rank < before + count) {
            let mut passed = before;
            for (value, count) in read(*bucket)? {
                passed += u64::try_from(count).map_err(|_| MISSING)?;
                while ranks.next_if(|rank| *rank < passed).is_some() {
                    found.push(value);
                }
            }
        }
        before += count;
    }
    if ranks.peek().is_some() { Err(MISSING.into()) } else { Ok(found) }
}

/// The percentiles of a metric of `tasks` events; the other arguments are those of [`values_at`].
pub(crate) fn distribution_of<E: From<Damaged>>(
    tasks: u64,
    counts: &BTreeMap<u32, i64>,
    read: impl FnMut(u32) -> Result<Vec<(u64, i64)>, E>,
) -> Result<TokenDistribution, E> {
    let ranks = ranks(tasks);
    let found = values_at(&ranks, counts, read)?;
    Ok(ranked(tasks, |rank| ranks.binary_search(&rank).map_or(0, |index| found[index])))
}

/// The buckets that [`distribution_of`] reads.
#[cfg(feature = "postgres")]
pub(crate) fn buckets_of(tasks: u64, counts: &BTreeMap<u32, i64>) -> Result<Vec<u32>, Damaged> {
    let mut buckets = Vec::new();
    values_at(&ranks(tasks), counts, |bucket| {
        buckets.push(bucket);
        // Any values, as many as there are.
        Ok::<_, Damaged>(vec![(0, counts[&bucket])])
    })?;
    Ok(buckets)
}

const MISSING: Damaged = Damaged("there are fewer values than tasks");

/// Sorts values and adds up the counts of equal ones. Those that occur no more are left out.
pub(crate) fn sum_up(values: &mut Vec<(u64, i64)>) {
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

pub(crate) fn unpack(mut packed: &[u8], values: &mut Vec<(u64, i64)>) -> Result<(), Damaged> {
    let mut value = 0_u64;
    while !packed.is_empty() {
        let number = pop(&mut packed)?;
        let count = if number & 1 == 1 { pop(&mut packed)? } else { 1 };
        let distance = u64::try_from(number >> 1).map_err(|_| Damaged(NO_SAMPLES))?;
        value = value.checked_add(distance).ok_or(Damaged(NO_SAMPLES))?;
        values.push((value, i64::try_from(count).map_err(|_| Damaged(NO_SAMPLES))?));
    }
    Ok(())
}

fn pop(packed: &mut &[u8]) -> Result<u128, Damaged> {
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
    Err(Damaged(NO_SAMPLES))
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

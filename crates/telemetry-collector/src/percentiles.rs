//! Percentiles by linear interpolation between the closest ranks.

use telemetry_model::{Percentiles, TokenDistribution};

/// The percentiles of the values, in any order. All are 0.0 if there are no values.
pub(crate) fn distribution(mut values: Vec<u64>) -> TokenDistribution {
    values.sort_unstable();
    ranked(values.len() as u64, |rank| values[rank as usize])
}

/// The percentiles of `count` values. `value` returns the value at a rank, from 0 in ascending order.
pub(crate) fn ranked(count: u64, value: impl Fn(u64) -> u64) -> TokenDistribution {
    TokenDistribution::from_fn(|share| percentile(count, share, &value))
}

/// The ranks whose values [`ranked`] needs, in ascending order.
#[cfg(feature = "_database")]
pub(crate) fn ranks(count: u64) -> Vec<u64> {
    let ranks = std::cell::RefCell::new(Vec::new());
    ranked(count, |rank| {
        ranks.borrow_mut().push(rank);
        rank
    });
    let mut ranks = ranks.into_inner();
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

/// Converts to percentiles keyed by their names on the wire.
pub(crate) fn named(distribution: TokenDistribution) -> Percentiles {
    let names = ["median", "p10", "p25", "p75", "p90"];
    let values = names.into_iter().filter_map(|name| Some((name, distribution.percentile(name)?)));
    values.fold(Percentiles::default(), |percentiles, (name, value)| percentiles.with(name, value))
}

/// The percentile at `share`, which is in `0.0..=1.0`, as computed by numpy's default method and by
/// Excel's `PERCENTILE.INC`.
fn percentile(count: u64, share: f64, value: impl Fn(u64) -> u64) -> f64 {
    let Some(last) = count.checked_sub(1) else { return 0.0 };
    let rank = share * last as f64;
    let below = (rank.floor() as u64).min(last);
    let low = value(below);
    let high = value((below + 1).min(last));
    // Clamped because rounding could exceed the neighbours.
    ((high - low) as f64).mul_add(rank.fract(), low as f64).clamp(low as f64, high as f64)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use telemetry_model::TaskCompletionEvent;

    use super::*;

    #[test]
    fn percentile_is_interpolated_between_the_closest_ranks() {
        // numpy.percentile([15, 20, 35, 40, 50], [10, 25, 50, 75, 90]) == [17, 20, 35, 40, 46]
        let found = distribution(vec![50, 15, 40, 20, 35]);
        let found = [found.p10, found.p25, found.median, found.p75, found.p90];
        assert_eq!(found, [17.0, 20.0, 35.0, 40.0, 46.0].map(Some));
        for (values, share, expected) in [
            // An even number of values: the mean of the two in the middle.
            (vec![1, 2, 3, 10], 0.5, 2.5),
            (vec![7], 0.9, 7.0),
            (vec![], 0.5, 0.0),
        ] {
            let found = percentile(values.len() as u64, share, |rank| values[rank as usize]);
            assert_eq!(found, expected);
        }
    }

    proptest! {
        #[test]
        fn percentiles_are_ordered_and_within_the_values(
            values in vec(0..=TaskCompletionEvent::MAX_COUNT, 1..50),
        ) {
            let (min, max) = (*values.iter().min().unwrap(), *values.iter().max().unwrap());
            let found = distribution(values);
            let found = [found.p10, found.p25, found.median, found.p75, found.p90];
            let [min, max] = [min, max].map(|it| Some(it as f64));
            let ordered = [&[min], &found[..], &[max]].concat();
            prop_assert!(ordered.is_sorted(), "{:?}", ordered);
        }
    }
}

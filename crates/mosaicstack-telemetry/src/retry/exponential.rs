//! Delays that double up to a maximum: by the crate `backoff` with the feature of that name, or else the same
//! delays without it.

#[cfg(feature = "backoff")]
pub(super) use self::with_backoff::Exponential;
#[cfg(not(feature = "backoff"))]
pub(super) use self::without_backoff::Exponential;

#[cfg(feature = "backoff")]
mod with_backoff {
    use std::time::Duration;

    use backoff::{ExponentialBackoff, backoff::Backoff};

    #[derive(Debug)]
    pub(crate) struct Exponential(ExponentialBackoff);

    impl Exponential {
        pub(crate) fn new(initial: Duration, max: Duration) -> Self {
            Self(ExponentialBackoff {
                current_interval: initial,
                initial_interval: initial,
                // The jitter of `backoff` cannot be seeded, so `Delays` adds it.
                randomization_factor: 0.0,
                multiplier: 2.0,
                max_interval: max,
                max_elapsed_time: None,
                ..ExponentialBackoff::default()
            })
        }

        pub(crate) fn next(&mut self) -> Duration {
            let max = self.0.max_interval;
            self.0.next_backoff().unwrap_or(max).min(max)
        }

        pub(crate) fn reset(&mut self) {
            self.0.reset();
        }
    }
}

#[cfg(any(test, not(feature = "backoff")))]
mod without_backoff {
    use std::time::Duration;

    #[derive(Debug)]
    pub(crate) struct Exponential {
        initial: Duration,
        current: Duration,
        max: Duration,
    }

    impl Exponential {
        pub(crate) const fn new(initial: Duration, max: Duration) -> Self {
            Self { initial, current: initial, max }
        }

        pub(crate) fn next(&mut self) -> Duration {
            let delay = self.current.min(self.max);
            self.current = delay.saturating_mul(2);
            delay
        }

        pub(crate) const fn reset(&mut self) {
            self.current = self.initial;
        }
    }
}

#[cfg(all(test, feature = "backoff"))]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{with_backoff, without_backoff};

    const NANOSECOND: Duration = Duration::from_nanos(1);

    const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

    proptest! {
        /// To the nanosecond: `backoff` adds a random part of one, and may round it up.
        #[test]
        fn delays_are_equal_with_and_without_backoff(
            initial in prop_oneof![0..30 * DAY, 0..2_000_000_000_u64, Just(0)],
            max in prop_oneof![0..30 * DAY, 0..60_000_000_000_u64, Just(0)],
            reset in 0..64,
        ) {
            let [initial, max] = [initial, max].map(Duration::from_nanos);
            let mut with = with_backoff::Exponential::new(initial, max);
            let mut without = without_backoff::Exponential::new(initial, max);
            for step in 0..128 {
                if step == reset {
                    with.reset();
                    without.reset();
                }
                let (with, without) = (with.next(), without.next());
                prop_assert!(with.abs_diff(without) <= NANOSECOND, "{with:?} {without:?}");
            }
        }
    }
}

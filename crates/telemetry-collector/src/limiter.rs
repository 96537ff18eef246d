//! Limits of requests: a token bucket for each key and for each address. Time is an argument.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A full bucket holds the requests of this time, and at least one.
const BURST: Duration = Duration::from_secs(10);

/// The buckets for addresses; 256 KiB.
const ADDRESS_BUCKETS: usize = 16 * 1024;

/// A token bucket, as the time at which it is full again; the default is full.
///
/// Times are measured from any fixed point.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    full_at: Duration,
}

impl Bucket {
    /// Takes a token if there is one.
    ///
    /// # Errors
    ///
    /// The time until there is one.
    pub(crate) fn take(&mut self, per_minute: NonZeroU32, now: Duration) -> Result<(), Duration> {
        let interval = MINUTE / per_minute.get();
        let full_at = self.full_at.max(now) + interval;
        let wait = full_at.saturating_sub(now + interval.max(BURST));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.full_at = full_at;
        Ok(())
    }
}

/// Buckets of the addresses that send requests without a key.
///
/// An address has the bucket of its hash, so memory is constant and nothing is evicted. Two addresses may share
/// one; which do differs in each process.
#[derive(Debug)]
pub(crate) struct AddressLimiter {
    buckets: Box<[Bucket]>,
    hasher: RandomState,
}

impl AddressLimiter {
    pub(crate) fn new() -> Self {
        let buckets = vec![Bucket::default(); ADDRESS_BUCKETS].into_boxed_slice();
        Self { buckets, hasher: RandomState::new() }
    }

    /// The bucket of the network of this address.
    pub(crate) fn bucket(&mut self, address: IpAddr) -> &mut Bucket {
        let hash = self.hasher.hash_one(network(address));
        // Lossless: the remainder is smaller than a `usize`.
        &mut self.buckets[(hash % ADDRESS_BUCKETS as u64) as usize]
    }
}

/// The address itself, or the first 64 bits of an IPv6 address: a host has all addresses of such a network.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_passes_a_burst_and_then_the_rate() {
        // The rate, the size of the burst, and the milliseconds between requests after it.
        for (per_minute, burst, interval) in
            [(600, 100, 100), (60, 10, 1_000), (7, 1, 8_572), (6, 1, 10_000), (1, 1, 60_000)]
        {
            let per_minute = NonZeroU32::new(per_minute).unwrap();
            let (mut bucket, mut now) = (Bucket::default(), Duration::from_secs(7));
            for round in 0..3 {
                for _ in 0..burst {
                    assert_eq!(bucket.take(per_minute, now), Ok(()), "{per_minute} {round}");
                }
                let wait = bucket.take(per_minute, now).unwrap_err();
                assert!(wait <= Duration::from_millis(interval), "{per_minute} {wait:?}");
                // A refused request costs no token.
                assert_eq!(bucket.take(per_minute, now), Err(wait));
                let too_soon = now + wait - Duration::from_nanos(1);
                assert_eq!(bucket.take(per_minute, too_soon), Err(Duration::from_nanos(1)));
                now += wait;
                assert_eq!(bucket.take(per_minute, now), Ok(()));
                assert!(bucket.take(per_minute, now).is_err());
                now += MINUTE;
            }
        }
    }

    #[test]
    fn bucket_holds_no_more_than_a_burst_after_a_pause() {
        let per_minute = NonZeroU32::new(60).unwrap();
        let mut bucket = Bucket::default();
        let mut passed = |seconds| {
            (0..99)
                .filter(|_| bucket.take(per_minute, Duration::from_secs(seconds)).is_ok())
                .count()
        };
        // Seconds since the start.
        assert_eq!([0, 1, 3, 13, 1_000, 1_000].map(&mut passed), [10, 1, 2, 10, 10, 0]);
    }

    #[test]
    fn extreme_rates_and_times_are_handled() {
        for per_minute in [NonZeroU32::MIN, NonZeroU32::MAX] {
            let mut bucket = Bucket::default();
            assert_eq!(bucket.take(per_minute, Duration::from_secs(u64::MAX / 2)), Ok(()));
        }
    }

    #[test]
    fn hosts_have_separate_buckets_and_one_bucket_for_all_their_addresses() {
        let per_minute = NonZeroU32::new(6).unwrap();
        let mut limiter = AddressLimiter::new();
        let passed = |limiter: &mut AddressLimiter, addresses: &[&str]| {
            let take = |address: &&&str| {
                let bucket = limiter.bucket(address.parse().unwrap());
                bucket.take(per_minute, Duration::ZERO).is_ok()
            };
            addresses.iter().filter(take).count()
        };
        let one = ["192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"];
        assert_eq!(passed(&mut limiter, &one), 1);
        let mut limiter = AddressLimiter::new();
        assert_eq!(passed(&mut limiter, &["2001:db8::1", "2001:db8::2:1", "2001:db8::"]), 1);
        let hosts: Vec<_> = (0..200).map(|host| format!("198.51.100.{host}")).collect();
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        // Not all, since a few may share a bucket by chance.
        assert!(passed(&mut AddressLimiter::new(), &hosts) > 150);
    }
}

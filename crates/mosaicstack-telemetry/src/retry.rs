//! When to try again.

use std::time::{Duration, SystemTime};

use backoff::{ExponentialBackoff, backoff::Backoff};
use http::{HeaderMap, header};

/// How often and how soon a failed request is tried again.
///
/// ```
/// use std::time::Duration;
/// use mosaicstack_telemetry::RetryPolicy;
///
/// let patient = RetryPolicy { max_backoff: Duration::from_secs(300), ..RetryPolicy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often, in one submission cycle; 3 by default. Then the events wait for the next cycle.
    pub max_retries: u32,
    /// The first delay; 500 ms by default. It doubles each time, and each is spread by half of it
    /// in either direction.
    pub initial_backoff: Duration,
    /// The longest delay before it is spread; 30 s by default.
    pub max_backoff: Duration,
    /// The longest wait that a `Retry-After` can ask for; 1 hour by default. After it, a random
    /// part of a tenth of it passes, or of the back-off if that is longer.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(60 * 60),
        }
    }
}

/// The delays of successive attempts.
#[derive(Debug)]
pub(crate) struct Delays {
    policy: RetryPolicy,
    exponential: ExponentialBackoff,
    retries: u32,
    random: SplitMix64,
}

impl Delays {
    pub(crate) fn new(policy: RetryPolicy, seed: u64) -> Self {
        let exponential = ExponentialBackoff {
            current_interval: policy.initial_backoff,
            initial_interval: policy.initial_backoff,
            // Its own cannot be seeded.
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: policy.max_backoff,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { policy, exponential, retries: 0, random: SplitMix64(seed) }
    }

    /// The delay before the next attempt, or none when there have been enough.
    ///
    /// A server's `Retry-After` comes first; see [`after`](Self::after).
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        if self.retries >= self.policy.max_retries {
            return None;
        }
        self.retries += 1;
        let delay = self.exponential.next_backoff().unwrap_or(self.policy.max_backoff);
        let delay = delay.min(self.policy.max_backoff);
        Some(match retry_after {
            Some(wait) => self.spread_after(wait, delay),
            None => delay / 2 + self.part_of(delay),
        })
    }

    /// What `Retry-After` asks for when there is no retry left.
    pub(crate) fn after(&mut self, retry_after: Duration) -> Duration {
        self.spread_after(retry_after, self.initial())
    }

    /// The wait until the next cycle: up to a tenth shorter than the interval, so that clients
    /// which are in step fall out of it.
    pub(crate) fn cycle(&mut self, interval: Duration) -> Duration {
        interval - self.part_of(interval / 10)
    }

    /// The wait until the first one: any part of the interval, so that clients which start together
    /// do not send together.
    pub(crate) fn first_cycle(&mut self, interval: Duration) -> Duration {
        interval - self.part_of(interval)
    }

    /// The wait, and then a random time, so that clients which were told the same moment do not come
    /// back at the same moment. A date can be the same for all that have asked in an hour, and
    /// half a second is nothing to a fleet, so it grows with the wait.
    fn spread_after(&mut self, wait: Duration, delay: Duration) -> Duration {
        let wait = wait.min(self.policy.max_retry_after);
        wait.saturating_add(self.part_of(delay.max(wait / 10)))
    }

    fn part_of(&mut self, whole: Duration) -> Duration {
        whole.mul_f64(self.random.unit())
    }

    /// The first delay, before it is spread.
    pub(crate) fn initial(&self) -> Duration {
        self.policy.initial_backoff.min(self.policy.max_backoff)
    }

    pub(crate) fn reset(&mut self) {
        self.retries = 0;
        self.exponential.reset();
    }
}

/// What `Retry-After` asks for: seconds, or the time from the answer's own `Date` (else from
/// `wall`) to the date that it names. What cannot be read asks for nothing.
pub(crate) fn retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let answered = headers
        .get(header::DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
        .unwrap_or(wall);
    Some(date.duration_since(answered).unwrap_or_default())
}

/// Sebastiano Vigna's SplitMix64: enough to spread clients, and reproducible from its seed.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    /// A number from 0.0 to below 1.0.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what a float has")]
        let unit = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn asked(retry_after_value: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, retry_after_value.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        retry_after(&headers, SystemTime::UNIX_EPOCH + 784_111_717 * SECOND)
    }

    #[test]
    fn delays_double_within_their_spread_and_end() {
        let policy = RetryPolicy { max_retries: 9, ..RetryPolicy::default() };
        for seed in 0..200 {
            let mut delays = Delays::new(policy, seed);
            for expected in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000] {
                let delay = delays.next(None).unwrap().as_millis();
                assert!((expected / 2..expected * 3 / 2).contains(&delay), "{delay} {expected}");
            }
            assert_eq!(delays.next(None), None);
            delays.reset();
            assert!(delays.next(None).unwrap() < SECOND);
        }
    }

    #[test]
    fn the_first_delay_is_bounded_too() {
        let max_backoff = Duration::from_millis(100);
        let policy = RetryPolicy { max_backoff, ..RetryPolicy::default() };
        assert!(Delays::new(policy, 7).next(None).unwrap() < Duration::from_millis(150));
    }

    #[test]
    fn delays_follow_from_the_seed_and_differ_between_seeds() {
        let first = |seed| Delays::new(RetryPolicy::default(), seed).next(None).unwrap();
        assert_eq!(first(7), first(7));
        let distinct: std::collections::HashSet<Duration> = (0..1000).map(first).collect();
        assert!(distinct.len() > 990);
    }

    #[test]
    fn retry_after_is_kept_clamped_and_spread() {
        for seed in 0..200 {
            let mut delays = Delays::new(RetryPolicy::default(), seed);
            let delay = delays.next(Some(3 * SECOND)).unwrap();
            assert!((3 * SECOND..3 * SECOND + SECOND / 2).contains(&delay), "{delay:?}");
            let delay = delays.next(Some(Duration::MAX)).unwrap();
            assert!((3600 * SECOND..3960 * SECOND).contains(&delay), "{delay:?}");
            let delay = delays.after(600 * SECOND);
            assert!((600 * SECOND..660 * SECOND).contains(&delay), "{delay:?}");
        }
    }

    #[test]
    fn clients_that_were_told_the_same_moment_come_back_within_a_tenth_of_the_wait() {
        let tell: [fn(&mut Delays) -> Option<Duration>; 2] =
            [|delays| delays.next(Some(600 * SECOND)), |delays| Some(delays.after(600 * SECOND))];
        for tell in tell {
            let mut back = [0; 60];
            for seed in 0..6000 {
                let delay = tell(&mut Delays::new(RetryPolicy::default(), seed)).unwrap();
                back[usize::try_from(delay.as_secs()).unwrap() - 600] += 1;
            }
            assert!(back.iter().all(|count| (50..150).contains(count)), "{back:?}");
        }
    }

    #[test]
    fn cycles_are_spread_over_the_interval_and_never_longer() {
        let mut first = [0; 60];
        for seed in 0..6000 {
            let mut delays = Delays::new(RetryPolicy::default(), seed);
            let delay = delays.first_cycle(60 * SECOND);
            assert!(delay > Duration::ZERO && delay <= 60 * SECOND, "{delay:?}");
            first[usize::try_from(delay.as_secs()).unwrap() % 60] += 1;
            let delay = delays.cycle(60 * SECOND);
            assert!(delay > 54 * SECOND && delay <= 60 * SECOND, "{delay:?}");
        }
        assert!(first.iter().all(|count| (50..150).contains(count)), "{first:?}");
    }

    #[test]
    fn retry_after_has_two_forms() {
        assert_eq!(asked("3", None), Some(3 * SECOND));
        assert_eq!(asked("0", None), Some(Duration::ZERO));
        assert_eq!(asked("99999999999999999999999", None), Some(Duration::from_secs(u64::MAX)));
        // 784_111_777 seconds after the epoch.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(asked(date, None), Some(60 * SECOND));
        assert_eq!(asked(date, Some("Sun, 06 Nov 1994 08:49:30 GMT")), Some(7 * SECOND));
        assert_eq!(asked(date, Some("Sun, 06 Nov 1994 09:00:00 GMT")), Some(Duration::ZERO));
        assert_eq!(asked(date, Some("never")), Some(60 * SECOND));
        for unreadable in ["", "-1", "3.5", "soon", "Sun, 06 Foo 1994 08:49:37 GMT"] {
            assert_eq!(asked(unreadable, None), None, "{unreadable}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }

    proptest! {
        #[test]
        fn any_header_value_is_survived(value: Vec<u8>, seed: u64) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                headers.insert(header::RETRY_AFTER, value);
            }
            let wait = retry_after(&headers, SystemTime::UNIX_EPOCH);
            let delay = Delays::new(RetryPolicy::default(), seed).next(wait).unwrap();
            prop_assert!(delay <= Duration::from_secs(3960));
        }
    }
}

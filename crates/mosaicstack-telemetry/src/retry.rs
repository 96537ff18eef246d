//! Delays between attempts and between flush cycles.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use self::exponential::Exponential;

mod exponential;

/// Number of retries of a failed request, and the delays between them.
///
/// After a transient failure, the delay starts at `initial_backoff` and doubles with each retry up to
/// `max_backoff`; each delay is then multiplied by a random factor from 0.5 to 1.5. A pause requested
/// by `Retry-After` replaces the delay.
///
/// ```
/// use std::time::Duration;
/// use mosaicstack_telemetry::RetryPolicy;
///
/// let patient = RetryPolicy { max_backoff: Duration::from_secs(300), ..RetryPolicy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Maximum number of retries in one flush cycle, 0 to 100; 3 by default. Events that are still not
    /// accepted wait for the next cycle.
    pub max_retries: u32,
    /// First delay before its random factor, at most 365 days; 500 ms by default.
    pub initial_backoff: Duration,
    /// Longest delay before its random factor, at most 365 days; 30 s by default.
    pub max_backoff: Duration,
    /// Longest pause accepted from `Retry-After`, at most 365 days; 1 hour by default. A random
    /// delay is added: up to a tenth of the pause, or up to the backoff delay if that is longer.
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

/// Random delays of successive attempts and cycles, reproducible from a seed.
#[derive(Debug)]
pub(crate) struct Delays {
    policy: RetryPolicy,
    exponential: Exponential,
    retries: u32,
    random: SplitMix64,
}

impl Delays {
    pub(crate) fn new(policy: RetryPolicy, seed: u64) -> Self {
        let exponential = Exponential::new(policy.initial_backoff, policy.max_backoff);
        Self { policy, exponential, retries: 0, random: SplitMix64(seed) }
    }

    /// Delay before the next attempt; `None` if no retry is left. `retry_after` replaces the backoff
    /// delay, limited and spread as in [`after`](Self::after).
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        if self.retries >= self.policy.max_retries {
            return None;
        }
        self.retries += 1;
        let delay = self.exponential.next();
        Some(match retry_after {
            Some(pause) => self.spread_after(pause, delay),
            None => delay / 2 + self.part_of(delay),
        })
    }

    /// Pause requested by `Retry-After` if no retry is left: limited to the policy's maximum, plus a
    /// random part.
    pub(crate) fn after(&mut self, retry_after: Duration) -> Duration {
        self.spread_after(retry_after, self.initial())
    }

    /// Time until the next cycle: `interval`, less up to a tenth of it, so that clients in lockstep
    /// diverge.
    pub(crate) fn cycle(&mut self, interval: Duration) -> Duration {
        interval - self.part_of(interval / 10)
    }

    /// Time until the first cycle: a random part of `interval`, so that clients that start together do
    /// not send together.
    pub(crate) fn first_cycle(&mut self, interval: Duration) -> Duration {
        interval - self.part_of(interval)
    }

    /// `pause`, limited, plus a random part of a tenth of it or of `delay`.
    fn spread_after(&mut self, pause: Duration, delay: Duration) -> Duration {
        let pause = pause.min(self.policy.max_retry_after);
        // A `Retry-After` date can be the same for all clients of an hour. The random part must grow
        // with the pause: half a second does not spread a fleet.
        pause.saturating_add(self.part_of(delay.max(pause / 10)))
    }

    fn part_of(&mut self, whole: Duration) -> Duration {
        whole.mul_f64(self.random.unit())
    }

    /// First backoff delay, before its random factor.
    pub(crate) fn initial(&self) -> Duration {
        self.policy.initial_backoff.min(self.policy.max_backoff)
    }

    pub(crate) fn reset(&mut self) {
        self.retries = 0;
        self.exponential.reset();
    }
}

/// Parses `Retry-After`: a number of seconds, of which a fraction is rounded up, or a date. A date is
/// relative to the response's `Date` header, or to `wall`, the time of the answer, without a valid one.
/// Returns `None` for a missing or invalid header.
pub(crate) fn retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Some(seconds) = seconds(value) {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let answered = headers
        .get(header::DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
        .unwrap_or(wall);
    Some(date.duration_since(answered).unwrap_or_default())
}

/// Parses a decimal number and rounds it up, saturating. RFC 9110 allows whole seconds only, but servers
/// that compute the pause send fractions.
fn seconds(value: &str) -> Option<u64> {
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !is_number(whole) || !is_number(fraction) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
    Some(whole.saturating_add(u64::from(fraction.bytes().any(|digit| digit != b'0'))))
}

/// Sebastiano Vigna's SplitMix64 generator: not cryptographic, reproducible from its seed.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    /// Next number, from 0.0 to below 1.0.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_precision_loss, reason = "an `f64` holds 53 bits exactly")]
        let unit = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn delays(seed: u64) -> Delays {
        Delays::new(RetryPolicy::default(), seed)
    }

    #[test]
    fn generator_matches_the_reference() {
        // The first outputs of Vigna's C code for the seed 0.
        let mut random = SplitMix64(0);
        for output in [0xE220_A839_7B1D_CDAF_u64, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F] {
            assert_eq!(random.unit(), (output >> 11) as f64 / (1_u64 << 53) as f64);
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_maximum_and_resets() {
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
    fn first_delay_is_limited_by_max_backoff() {
        let max_backoff = Duration::from_millis(100);
        let policy = RetryPolicy { max_backoff, ..RetryPolicy::default() };
        let mut delays = Delays::new(policy, 7);
        assert_eq!(delays.initial(), max_backoff);
        assert!(delays.next(None).unwrap() < max_backoff * 3 / 2);
    }

    #[test]
    fn delays_are_determined_by_the_seed() {
        let first = |seed| delays(seed).next(None).unwrap();
        assert_eq!(first(7), first(7));
        let distinct: std::collections::HashSet<Duration> = (0..1000).map(first).collect();
        assert!(distinct.len() > 990);
    }

    #[test]
    fn retry_after_is_limited_and_spread() {
        for seed in 0..200 {
            let mut delays = delays(seed);
            let delay = delays.next(Some(3 * SECOND)).unwrap();
            assert!((3 * SECOND..3 * SECOND + SECOND / 2).contains(&delay), "{delay:?}");
            let delay = delays.next(Some(Duration::MAX)).unwrap();
            assert!((3600 * SECOND..3960 * SECOND).contains(&delay), "{delay:?}");
            let delay = delays.after(600 * SECOND);
            assert!((600 * SECOND..660 * SECOND).contains(&delay), "{delay:?}");
        }
    }

    #[test]
    fn delays_are_spread_evenly() {
        const MINUTE: Duration = Duration::from_secs(60);
        type Delay = fn(&mut Delays) -> Duration;
        for (name, delay, min) in [
            ("next", (|delays| delays.next(Some(10 * MINUTE)).unwrap()) as Delay, 600),
            ("after", |delays| delays.after(10 * MINUTE), 600),
            ("first cycle", |delays| delays.first_cycle(MINUTE) - Duration::from_nanos(1), 0),
        ] {
            let mut counts = [0; 60];
            for seed in 0..6000 {
                let second = delay(&mut delays(seed)).as_secs() - min;
                counts[usize::try_from(second).unwrap()] += 1;
            }
            assert!(counts.iter().all(|count| (50..150).contains(count)), "{name}: {counts:?}");
        }
    }

    #[test]
    fn cycles_are_at_most_one_tenth_shorter_than_the_interval() {
        for seed in 0..6000 {
            let mut delays = delays(seed);
            let delay = delays.first_cycle(60 * SECOND);
            assert!(delay > Duration::ZERO && delay <= 60 * SECOND, "{delay:?}");
            let delay = delays.cycle(60 * SECOND);
            assert!(delay > 54 * SECOND && delay <= 60 * SECOND, "{delay:?}");
        }
    }

    #[test]
    fn retry_after_is_parsed_as_seconds_or_date() {
        // 60 seconds after `wall`.
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let wall = SystemTime::UNIX_EPOCH + 784_111_717 * SECOND;
        for (value, date, expected) in [
            ("3", None, Some(3)),
            (" 3 ", None, Some(3)),
            ("0", None, Some(0)),
            ("99999999999999999999999", None, Some(u64::MAX)),
            (DATE, None, Some(60)),
            (DATE, Some("Sun, 06 Nov 1994 08:49:30 GMT"), Some(7)),
            (DATE, Some("Sun, 06 Nov 1994 09:00:00 GMT"), Some(0)),
            (DATE, Some("never"), Some(60)),
            ("", None, None),
            ("-1", None, None),
            ("3.0", None, Some(3)),
            ("3.", None, Some(3)),
            ("3.5", None, Some(4)),
            ("0.00001", None, Some(1)),
            (".5", None, Some(1)),
            ("18446744073709551615.5", None, Some(u64::MAX)),
            (".", None, None),
            ("3.5.1", None, None),
            ("3,5", None, None),
            ("1e3", None, None),
            ("soon", None, None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
            headers.extend(date.map(|date| (header::DATE, date.parse().unwrap())));
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, wall), expected, "{value} {date:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), wall), None);
    }

    proptest! {
        #[test]
        fn any_retry_after_gives_a_limited_delay(value: Vec<u8>, seed: u64) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                headers.insert(header::RETRY_AFTER, value);
            }
            let wait = retry_after(&headers, SystemTime::UNIX_EPOCH);
            prop_assert!(delays(seed).next(wait).unwrap() <= Duration::from_secs(3960));
        }
    }
}

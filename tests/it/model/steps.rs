//! What a schedule is made of, and how one is made at random.

use std::time::Duration;

use mosaicstack_telemetry::{RetryPolicy, TelemetryConfig};
use proptest::{collection::vec, prelude::*, sample::select};
use telemetry_tests::config;

use super::answers::{Answer, answer};

pub(super) const SECOND: u64 = 1_000;
const DAY: u64 = 24 * 60 * 60 * SECOND;

/// A configuration and a start. Times are in milliseconds, but for `wall`.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) places: usize,
    pub(super) batch: usize,
    pub(super) interval: u64,
    pub(super) timeout: u64,
    pub(super) retries: u32,
    pub(super) first_delay: u64,
    pub(super) longest_delay: u64,
    pub(super) longest_pause: u64,
    pub(super) early_flush: bool,
    pub(super) dry_run: bool,
    pub(super) seed: u64,
    /// The calendar at the start, in seconds since 1970.
    pub(super) wall: u64,
}

impl Default for Settings {
    /// As a client is by default, but for a small queue.
    fn default() -> Self {
        Self {
            places: 20,
            batch: 5,
            interval: 300 * SECOND,
            timeout: 10 * SECOND,
            retries: 3,
            first_delay: SECOND / 2,
            longest_delay: 30 * SECOND,
            longest_pause: 3_600 * SECOND,
            early_flush: true,
            dry_run: false,
            seed: 7,
            wall: 0,
        }
    }
}

impl Settings {
    pub(super) fn config(&self) -> TelemetryConfig {
        let policy = RetryPolicy {
            max_retries: self.retries,
            initial_backoff: Duration::from_millis(self.first_delay),
            max_backoff: Duration::from_millis(self.longest_delay),
            max_retry_after: Duration::from_millis(self.longest_pause),
        };
        config("https://example.com")
            .max_queue_size(self.places)
            .batch_size(self.batch)
            .submit_interval(Duration::from_millis(self.interval))
            .request_timeout(Duration::from_millis(self.timeout))
            .retry_policy(policy)
            .early_flush(self.early_flush)
            .dry_run(self.dry_run)
            .build()
            .expect("a configuration")
    }
}

/// What happens next. Times are in milliseconds.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The application tracks so many events.
    Track(usize),
    /// Time passes.
    Advance(u64),
    /// Time passes until the driver was told to come back.
    Sleep,
    /// The driver asks what to do, also if it is told something it does not wait for.
    Poll(Fuse),
    /// The request that is under way ends.
    Answer(Answer, Fuse),
    /// The delivery that is under way is dropped, as when the driver panics.
    GiveUp,
    Flush,
    /// The last drain has to be over so much later.
    Close(u64),
}

/// At which line of the log its subscriber panics, if it does.
pub(super) type Fuse = Option<usize>;

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    let sizes = (
        prop_oneof![1..8_usize, 1..60_usize, Just(300)],
        prop_oneof![1..8_usize, 1..=100_usize, Just(100)],
    );
    let times = (
        prop_oneof![4 => Just(300 * SECOND), 1 => 1..20_u64, 1 => Just(DAY)],
        select(vec![1, 10 * SECOND, DAY]),
        prop_oneof![3 => Just(SECOND / 2), 1 => Just(0), 1 => 1..100 * SECOND],
        prop_oneof![3 => Just(30 * SECOND), 1 => Just(0), 1 => 1..100 * SECOND],
        prop_oneof![3 => Just(3_600 * SECOND), 1 => Just(0), 1 => 1..10 * DAY],
    );
    let others = (
        prop_oneof![2 => Just(3), 3 => 0..3_u32, 1 => 0..=100_u32],
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.1),
        any::<u64>(),
        // Up to the year 9000: what is written as a date has four digits for it.
        prop_oneof![Just(1_763_800_000), 0..220_000_000_000_u64],
    );
    (sizes, times, others).prop_map(|(sizes, times, others)| {
        let (places, batch) = sizes;
        let (interval, timeout, first_delay, longest_delay, longest_pause) = times;
        let (retries, early_flush, dry_run, seed, wall) = others;
        Settings {
            places,
            batch,
            interval,
            timeout,
            retries,
            first_delay,
            longest_delay,
            longest_pause,
            early_flush,
            dry_run,
            seed,
            wall,
        }
    })
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![1 => vec(step(), 1..20), 3 => vec(step(), 1..120)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => prop_oneof![6 => 0..12_usize, 6 => Just(1), 1 => 50..120_usize].prop_map(Step::Track),
        10 => span().prop_map(Step::Advance),
        25 => Just(Step::Sleep),
        40 => fuse().prop_map(Step::Poll),
        40 => (answer(), fuse()).prop_map(|(answer, fuse)| Step::Answer(answer, fuse)),
        3 => Just(Step::GiveUp),
        5 => Just(Step::Flush),
        1 => span().prop_map(Step::Close),
    ]
}

fn fuse() -> impl Strategy<Value = Fuse> {
    prop_oneof![5 => Just(None), 1 => (1..4_usize).prop_map(Some)]
}

/// From nothing to years, as when the machine was asleep.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        1..20_u64,
        0..SECOND,
        0..60 * SECOND,
        0..DAY,
        Just(300 * SECOND),
        0..4_000 * DAY
    ]
}

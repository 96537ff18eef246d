//! Random configurations and schedules.

use std::time::Duration;

use mosaicstack_telemetry::{RetryPolicy, TelemetryConfig};
use proptest::{collection::vec, prelude::*, sample::select};
use telemetry_tests::config;

use super::replies::{Reply, reply};

const SECOND: u64 = 1_000;
const DAY: u64 = 24 * 60 * 60 * SECOND;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) config: TelemetryConfig,
    /// Seed of the jitter.
    pub(super) seed: u64,
}

/// One step of a schedule. Times are in milliseconds.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Track(usize),
    Advance(u64),
    /// Time passes as long as the submitter asked to wait.
    Sleep,
    /// The driver polls, also where nothing is due.
    Poll,
    /// The request in flight ends.
    Reply(Reply),
    /// The delivery in flight is dropped, as by a driver that panics.
    DropDelivery,
    Flush,
    /// Shutdown within this time.
    Close(u64),
}

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    let sizes = (
        prop_oneof![1..8_usize, 1..60_usize, Just(300)],
        prop_oneof![1..8_usize, 1..=100_usize, Just(100)],
    );
    let times = (
        prop_oneof![4 => Just(300 * SECOND), 1 => 1..20_u64, 1 => Just(DAY)],
        select(vec![1, 10 * SECOND, DAY]),
    );
    let policy = (
        prop_oneof![2 => Just(3), 3 => 0..3_u32, 1 => 0..=100_u32],
        prop_oneof![3 => Just(SECOND / 2), 1 => Just(0), 1 => 1..100 * SECOND],
        prop_oneof![3 => Just(30 * SECOND), 1 => Just(0), 1 => 1..100 * SECOND],
        prop_oneof![3 => Just(3_600 * SECOND), 1 => Just(0), 1 => 1..10 * DAY],
    );
    let switches = (prop::bool::weighted(0.8), prop::bool::weighted(0.1));
    (sizes, times, policy, switches, any::<u64>()).prop_map(
        |(sizes, times, policy, switches, seed)| {
            let (max_retries, initial_backoff, max_backoff, max_retry_after) = policy;
            let ms = Duration::from_millis;
            let policy = RetryPolicy {
                max_retries,
                initial_backoff: ms(initial_backoff),
                max_backoff: ms(max_backoff),
                max_retry_after: ms(max_retry_after),
            };
            let config = config("https://example.com")
                .max_queue_size(sizes.0)
                .batch_size(sizes.1)
                .submit_interval(ms(times.0))
                .request_timeout(ms(times.1))
                .retry_policy(policy)
                .early_flush(switches.0)
                .dry_run(switches.1);
            Settings { config: config.build().expect("a valid configuration"), seed }
        },
    )
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![1 => vec(step(), 1..20), 3 => vec(step(), 1..120)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => prop_oneof![6 => 0..12_usize, 6 => Just(1), 1 => 50..120_usize].prop_map(Step::Track),
        10 => span().prop_map(Step::Advance),
        25 => Just(Step::Sleep),
        40 => Just(Step::Poll),
        40 => reply().prop_map(Step::Reply),
        3 => Just(Step::DropDelivery),
        5 => Just(Step::Flush),
        1 => span().prop_map(Step::Close),
    ]
}

/// From nothing to years, as after a suspend.
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

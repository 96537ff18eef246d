//! The targets.

use super::{Bound, Rival, Target};

const OURS: &str = "mosaicstack-telemetry";
const UREQ: &str = "mosaicstack-telemetry, ureq";
const HYPER: &str = "mosaicstack-telemetry, hyper";
const DEFAULT: &str = "mosaicstack-telemetry, default";

const ROOMY: &str = "prebuilt, roomy, 1 thread";
const FULL: &str = "prebuilt, full, 8 threads";
const BUILD: &str = "build and track, roomy, 1 thread";
const QUEUE: &str = "full, 8 threads";
const EVENTS: &str = "100,000 events";
const BATCH: &str = "a batch of 100";
const CLIENT: &str = "a client";

const HAND_OVER: &[Rival] = &[
    rival(ROOMY, "posthog-rs"),
    rival(ROOMY, "opentelemetry"),
    rival(ROOMY, "sentry"),
    rival(ROOMY, "sentry, logs"),
];
const SMALLEST: &[Rival] = &[
    rival("smallest", "posthog-rs"),
    rival("smallest", "opentelemetry"),
    rival("smallest", "sentry"),
];
const CROSSBEAM: &[Rival] = &[rival(QUEUE, "crossbeam ArrayQueue")];
/// The barest of those on ureq that keep a time-out, as a client has to.
const BARE_UREQ: &[Rival] = &[rival(EVENTS, "floor: ureq, no look-up")];
const BARE_HYPER: &[Rival] = &[rival(EVENTS, "floor: hyper")];
const EVERY_KEY: &[Rival] = &[rival(BATCH, "floor: the shortest with every key")];
const SCHEMA: &[Rival] = &[rival(BATCH, "floor: the schema's minimum")];
const BARE: &[Rival] = &[rival("bare", "floor: ureq + rustls + serde_json + uuid")];

/// Wake-ups that the interval takes by itself in the minute that a client is watched. By default it is
/// five minutes, and may end once in it.
const BY_DEFAULT: f64 = 1.0;
/// An interval of 1 s, which jitter shortens by a tenth at the most.
const EACH_SECOND: f64 = 60.0 / 0.9;

/// What the benchmarks are to show.
pub const TARGETS: [Target; 26] = [
    of("hand-over", ROOMY, OURS, "p50 of means", at_most_of(1.0 / 3.0, HAND_OVER)),
    of("hand-over", ROOMY, OURS, "p50", at_most_of(1.0 / 3.0, HAND_OVER)).unless(
        "posthog's median is a call that finds its thread awake, and reading the clock twice is in both \
         figures. Its calls that wake the thread are in the row above, and the clock is not.",
    ),
    of("hand-over", ROOMY, OURS, "allocations", at_most(1.0)),
    of("hand-over", BUILD, OURS, "mean", at_most(250.0)).unless(
        "an id is asked from the system, so that neither a forked child nor a machine that was cloned \
         while it ran repeats another's ids. That is a system call, which takes longer than the target \
         by itself. glibc takes randomness without one from 2.41 on; that was not tried.",
    ),
    of("hand-over", FULL, OURS, "p99.9", below(2_000.0)),
    of("queue", QUEUE, "telemetry-queue", "p99.9", below(2_000.0)),
    of("queue", QUEUE, "telemetry-queue", "p99.9", at_most_of(1.5, CROSSBEAM)),
    of("queue", QUEUE, "telemetry-queue", "stalls", at_most_of(1.0, CROSSBEAM)).unless(
        "eight threads and a reader share the cores, and a push stalls for a millisecond when its own \
         thread is preempted within it, in either queue; which of them has a few more differs from run \
         to run.",
    ),
    of("delivery", EVENTS, UREQ, "CPU", at_most_of(1.15, BARE_UREQ)),
    of("delivery", EVENTS, HYPER, "CPU", at_most_of(1.15, BARE_HYPER)),
    of("encoding", BATCH, OURS, "bytes", at_most_of(1.01, EVERY_KEY)),
    of("encoding", BATCH, OURS, "bytes", at_most_of(1.01, SCHEMA)).unless(
        "the schema does without `repo_size_category`, `language` and `retry_count` where they have \
         their defaults; the wire contract, and the Python SDK, write them always.",
    ),
    of("start-stop", CLIENT, UREQ, "start", below(200.0)),
    of("start-stop", CLIENT, HYPER, "start", below(200.0)),
    of("start-stop", CLIENT, UREQ, "stop, idle", below(1_000.0)),
    of("start-stop", CLIENT, HYPER, "stop, idle", below(1_000.0)),
    of("start-stop", CLIENT, UREQ, "wake-ups", at_most(BY_DEFAULT)),
    of("start-stop", CLIENT, HYPER, "wake-ups", at_most(BY_DEFAULT)),
    of("start-stop", CLIENT, UREQ, "wake-ups, interval of 1 s", at_most(EACH_SECOND)),
    of("start-stop", CLIENT, HYPER, "wake-ups, interval of 1 s", at_most(EACH_SECOND)).unless(
        "tokio wakes its thread about twice for a timer of a second, as the bare timer beside it shows.",
    ),
    of("embedding", "usual", DEFAULT, "crates", below_of(1.0, SMALLEST)),
    of("embedding", "usual", DEFAULT, "build", below_of(1.0, SMALLEST)),
    of("embedding", "usual", DEFAULT, "binary", below_of(1.0, SMALLEST)),
    of("embedding", "usual", DEFAULT, "crates", at_most(60.0)).unless(
        "four of them are ours, backoff brings six others (`rand` and what it is made of), \
         parking_lot four and `serde_derive` four. Code of our own instead of `serde_derive` would \
         hold the target; most programs have that anyway.",
    ),
    of("embedding", "usual", DEFAULT, "build", at_most_of(1.3, BARE)).unless(
        "beside our own crates, it compiles 27 of others that the bare program does not have, \
         among them `time`, `serde_derive` with `syn`, and `zerocopy` for backoff's `rand`.",
    ),
    of("embedding", "usual", DEFAULT, "binary", at_most_of(1.1, BARE)).unless(
        "a quarter of what it has more is the SDK's own code, and a fifth serde_json's, with which the \
         bare program writes and does not read (by the sizes of symbols); the rest is many small things.",
    ),
];

impl Target {
    /// Says why it is missed.
    const fn unless(self, reason: &'static str) -> Self {
        Self { reason, ..self }
    }
}

const fn of(
    section: &'static str,
    case: &'static str,
    subject: &'static str,
    metric: &'static str,
    bound: Bound,
) -> Target {
    Target { section, case, subject, metric, bound, reason: "" }
}

const fn at_most(most: f64) -> Bound {
    at_most_of(most, &[])
}

const fn below(most: f64) -> Bound {
    below_of(most, &[])
}

const fn at_most_of(most: f64, rivals: &'static [Rival]) -> Bound {
    Bound { is_inclusive: true, most, rivals }
}

const fn below_of(most: f64, rivals: &'static [Rival]) -> Bound {
    Bound { is_inclusive: false, most, rivals }
}

const fn rival(case: &'static str, subject: &'static str) -> Rival {
    Rival { case, subject }
}

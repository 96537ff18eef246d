//! The targets, and the table that says which are met.
//!
//! The reasons for the missed ones are in `docs/benchmarks.md`. No build fails on a missed target.

use crate::figures::{Figures, aligned, legible, times};

/// An upper bound for one value of the SDK.
struct Target {
    section: &'static str,
    case: &'static str,
    contender: &'static str,
    metric: &'static str,
    /// In the unit of the metric, or as a ratio to the best of `others` if there are any.
    limit: f64,
    others: &'static [&'static str],
}

const SDK: &str = "mosaicstack-telemetry";
const UREQ: &str = "mosaicstack-telemetry, ureq";
const SPOOL: &str = "mosaicstack-telemetry, ureq, spool";
const PUT: &str = "mosaicstack-telemetry, put";
const ABOVE: &str = "p99 above hello world, ms";
const START: &str = "start, track and flush one event, ms";
const HYPER: &str = "mosaicstack-telemetry, hyper";
const DEFAULT: &str = "mosaicstack-telemetry, default and ring";

const ROOMY: &str = "prebuilt, roomy, 1 thread";
const BUILD: &str = "build and track, roomy, 1 thread";
const FULL: &str = "prebuilt, full, 8 threads";
const QUEUE: &str = "full, 8 threads";
const BATCH: &str = "a batch of 100";
const EVENTS: &str = "100,000 events";
const CLIENT: &str = "a client";
const PROGRAM: &str = "a program";

const PREDICTION: &str = "a prediction, by level";
const MILLION: &str = "1000000 events";

const CLAUDE: &str = "Claude Code, 1 GB";
const CODEX: &str = "Codex, 1 GB";
const SCAN: &str = "mosaic-telemetry";
const SCAN_AGAIN: &str = "mosaic-telemetry, again";

const CCUSAGE: &[&str] = &["ccusage"];
const PEERS: &[&str] = &["posthog-rs", "opentelemetry", "sentry", "sentry, logs"];
const SMALLEST: &[&str] = &["posthog-rs, smallest", "opentelemetry, smallest", "sentry, smallest"];
const CROSSBEAM: &[&str] = &["crossbeam ArrayQueue"];
const BARE: &[&str] = &["baseline: ureq + rustls + serde_json + uuid"];

const BARE_UREQ: &[&str] = &["baseline: ureq"];
const BARE_HYPER: &[&str] = &["baseline: hyper"];
const EVERY_KEY: &[&str] = &["baseline: the shortest with every key"];
const MINIMUM: &[&str] = &["baseline: the schema's minimum"];

/// The ticks of an interval of 1 s, which jitter shortens by up to a tenth.
const TICKS: f64 = 60.0 / 0.9;

const TARGETS: [Target; 44] = [
    of("hand-over", ROOMY, SDK, "p50 of means, ns", 1.0 / 3.0, PEERS),
    of("hand-over", ROOMY, SDK, "p50, ns", 1.0 / 3.0, PEERS),
    of("hand-over", ROOMY, SDK, "allocations", 1.0, &[]),
    of("hand-over", BUILD, SDK, "mean, ns", 250.0, &[]),
    of("hand-over", FULL, SDK, "p99.9, ns", 2_000.0, &[]),
    of("queue", QUEUE, "telemetry-queue", "p99.9, ns", 2_000.0, &[]),
    of("queue", QUEUE, "telemetry-queue", "p99.9, ns", 1.5, CROSSBEAM),
    of("queue", QUEUE, "telemetry-queue", "stalls, per million", 1.0, CROSSBEAM),
    of("delivery", EVENTS, UREQ, "CPU, ms per 1,000 events", 1.15, BARE_UREQ),
    of("delivery", EVENTS, HYPER, "CPU, ms per 1,000 events", 1.15, BARE_HYPER),
    of("encoding", BATCH, SDK, "bytes per event", 1.01, EVERY_KEY),
    of("encoding", BATCH, SDK, "bytes per event", 1.01, MINIMUM),
    of("delivery", EVENTS, SPOOL, "CPU, ms per 1,000 events", 1.3, &[UREQ]),
    of("spool", "one event of a process", PUT, ABOVE, 4.0, &[]),
    of("spool", "eight at once", PUT, ABOVE, 4.0, &[]),
    of("spool", "eight at once, 4,096 files waiting", PUT, ABOVE, 4.0, &[]),
    of("spool", START, "4,096 files, 16 MiB", "ms", 50.0, &[]),
    of("scans", CLAUDE, SCAN, "wall, ms", 1.0, CCUSAGE),
    of("scans", CLAUDE, SCAN_AGAIN, "wall, ms", 0.1, CCUSAGE),
    of("scans", CODEX, SCAN, "wall, ms", 1.0, CCUSAGE),
    of("scans", CODEX, SCAN_AGAIN, "wall, ms", 0.1, CCUSAGE),
    of("scans", CLAUDE, SCAN, "peak memory, MiB", 100.0, &[]),
    of("scans", "Claude Code, 10 GB", SCAN, "peak memory, MiB", 100.0, &[]),
    of("scans", CODEX, SCAN, "peak memory, MiB", 100.0, &[]),
    of("scans", "Codex, 10 GB", SCAN, "peak memory, MiB", 100.0, &[]),
    of("scans", "a hook, with a log of 500 MB", "hook", "p50 above hello world, ms", 10.0, &[]),
    of("collector", PREDICTION, MILLION, "0: max, ms", 50.0, &[]),
    of("collector", PREDICTION, MILLION, "1: max, ms", 50.0, &[]),
    of("collector", PREDICTION, MILLION, "2: max, ms", 50.0, &[]),
    of("collector", PREDICTION, MILLION, "3: max, ms", 50.0, &[]),
    of("start-stop", CLIENT, UREQ, "start, us", 200.0, &[]),
    of("start-stop", CLIENT, HYPER, "start, us", 200.0, &[]),
    of("start-stop", CLIENT, UREQ, "stop, idle, us", 1_000.0, &[]),
    of("start-stop", CLIENT, HYPER, "stop, idle, us", 1_000.0, &[]),
    of("start-stop", CLIENT, UREQ, "wake-ups per minute", 1.0, &[]),
    of("start-stop", CLIENT, HYPER, "wake-ups per minute", 1.0, &[]),
    of("start-stop", CLIENT, UREQ, "wake-ups per minute, interval of 1 s", TICKS, &[]),
    of("start-stop", CLIENT, HYPER, "wake-ups per minute, interval of 1 s", TICKS, &[]),
    of("embedding", PROGRAM, DEFAULT, "crates", 1.0, SMALLEST),
    of("embedding", PROGRAM, DEFAULT, "build, s", 1.0, SMALLEST),
    of("embedding", PROGRAM, DEFAULT, "binary, KiB", 1.0, SMALLEST),
    of("embedding", PROGRAM, DEFAULT, "crates", 60.0, &[]),
    of("embedding", PROGRAM, DEFAULT, "build, s", 1.3, BARE),
    of("embedding", PROGRAM, DEFAULT, "binary, KiB", 1.1, BARE),
];

const fn of(
    section: &'static str,
    case: &'static str,
    contender: &'static str,
    metric: &'static str,
    limit: f64,
    others: &'static [&'static str],
) -> Target {
    Target { section, case, contender, metric, limit, others }
}

/// The targets of a section: name, limit, value, and whether the limit holds.
pub(crate) fn table(section: &str, figures: &Figures) -> String {
    let header = ["target", "at most", "measured", ""].map(str::to_owned).to_vec();
    let rows = TARGETS.iter().filter(|it| it.section == section).map(|it| it.row(figures));
    aligned(&[header].into_iter().chain(rows).collect::<Vec<_>>()) + "\n"
}

impl Target {
    fn row(&self, figures: &Figures) -> Vec<String> {
        let shown = if self.others.is_empty() { legible } else { times };
        let of = match self.others {
            [] => String::new(),
            [other] => format!(" / {other}"),
            _ => " / the best peer".to_owned(),
        };
        let name = format!("{}, {}: {}{of}", self.case, self.contender, self.metric);
        let (measured, verdict) = match self.measured(figures) {
            Some(value) => (shown(value), if value <= self.limit { "met" } else { "not met" }),
            None => (String::new(), "not measured"),
        };
        vec![name, shown(self.limit), measured, verdict.to_owned()]
    }

    /// `None` if a value is missing.
    fn measured(&self, figures: &Figures) -> Option<f64> {
        let find = |contender| figures.find(self.case, contender, self.metric);
        let value = find(self.contender)?;
        let others: Option<Vec<_>> = self.others.iter().map(|other| find(other)).collect();
        let ratios = others?.into_iter().map(|other| value.ratio_to(other));
        Some(ratios.max_by(f64::total_cmp).unwrap_or_else(|| value.value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::figures;

    #[test]
    fn measured_is_the_median_or_the_ratio_to_the_best_of_the_others() {
        let figures = figures(&[
            ("a", "p50", &[10.0, 20.0, 30.0]),
            ("b", "p50", &[20.0, 40.0, 60.0]),
            ("c", "p50", &[100.0, 25.0, 31.0]),
        ]);
        let cases: [(&[&str], Option<f64>, &str); 4] = [
            (&[], Some(20.0), "not met"),
            (&["b"], Some(0.5), "met"),
            (&["b", "c"], Some(0.8), "met"),
            (&["b", "d"], None, "not measured"),
        ];
        for (others, measured, verdict) in cases {
            let target = of("queue", "case", "a", "p50", 0.8, others);
            assert_eq!(target.measured(&figures), measured);
            assert_eq!(target.row(&figures)[3], verdict);
        }
    }
}

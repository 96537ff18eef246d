//! The programs of `tests/bench/embedding`: a row of the table each.

pub(super) struct Program {
    pub(super) case: &'static str,
    pub(super) subject: &'static str,
    /// Of the program in the manifest.
    pub(super) name: &'static str,
    /// Of the manifest, or nothing.
    pub(super) feature: &'static str,
    /// How often it is built from nothing, which is timed; if never, it is built on what the program
    /// before it has left.
    pub(super) builds: usize,
}

/// What the size of the others is counted from.
pub(super) const EMPTY: Program = program("", "an empty program", "empty", "");

/// What targets compare is built from nothing, and three times where that is close: our default and the
/// bare program. The peers' usual features and two of our forms follow on what has most in common with
/// them and are not timed, or the section would take longer than it may.
pub(super) const PROGRAMS: [Program; 13] = [
    thrice(program("usual", "mosaicstack-telemetry, default", "ours", "ours-default")),
    thrice(program("bare", "floor: ureq + rustls + serde_json + uuid", "floor", "floor")),
    program("smallest", "sentry", "with-sentry", "sentry-smallest"),
    program("smallest", "posthog-rs", "with-posthog", "posthog"),
    untimed(program("usual", "posthog-rs", "with-posthog", "posthog-usual")),
    program("smallest", "opentelemetry", "with-opentelemetry", "opentelemetry"),
    untimed(program("usual", "opentelemetry", "with-opentelemetry", "opentelemetry-usual")),
    untimed(program("usual", "sentry", "with-sentry", "sentry-usual")),
    program("usual", "mosaicstack-telemetry, hyper and rustls", "ours-hyper", "ours-hyper"),
    program("without TLS", "mosaicstack-telemetry, own transport", "ours-own-transport", "ours"),
    untimed(program("without TLS", "mosaicstack-telemetry, tokio", "ours-tokio", "ours-tokio")),
    untimed(program("without TLS", "mosaicstack-telemetry, ureq without TLS", "ours", "ours-ureq")),
    program("without TLS", "telemetry-model", "model", "model"),
];

const fn program(
    case: &'static str,
    subject: &'static str,
    name: &'static str,
    feature: &'static str,
) -> Program {
    Program { case, subject, name, feature, builds: 1 }
}

const fn untimed(program: Program) -> Program {
    Program { builds: 0, ..program }
}

const fn thrice(program: Program) -> Program {
    Program { builds: 3, ..program }
}

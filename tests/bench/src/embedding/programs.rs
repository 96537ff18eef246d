//! The programs of `tests/bench/embedding`: a row of the table each.

pub(super) struct Program {
    pub(super) case: &'static str,
    pub(super) subject: &'static str,
    /// Of the program in the manifest.
    pub(super) name: &'static str,
    /// Of the manifest, or nothing.
    pub(super) feature: &'static str,
    /// How often it is built.
    pub(super) builds: usize,
}

/// What the size of the others is counted from.
pub(super) const EMPTY: Program = program("", "an empty program", "empty", "");

pub(super) const PROGRAMS: [Program; 13] = [
    thrice(program("usual", "mosaicstack-telemetry, default", "ours", "ours-default")),
    thrice(program("bare", "floor: ureq + rustls + serde_json + uuid", "floor", "floor")),
    program("usual", "mosaicstack-telemetry, hyper and rustls", "ours-hyper", "ours-hyper"),
    program("usual", "posthog-rs", "with-posthog", "posthog-usual"),
    program("usual", "sentry", "with-sentry", "sentry-usual"),
    program("usual", "opentelemetry", "with-opentelemetry", "opentelemetry-usual"),
    program("smallest", "posthog-rs", "with-posthog", "posthog"),
    program("smallest", "sentry", "with-sentry", "sentry-smallest"),
    program("smallest", "opentelemetry", "with-opentelemetry", "opentelemetry"),
    program("without TLS", "mosaicstack-telemetry, ureq without TLS", "ours", "ours-ureq"),
    program("without TLS", "mosaicstack-telemetry, tokio", "ours-tokio", "ours-tokio"),
    program("without TLS", "mosaicstack-telemetry, own transport", "ours-own-transport", "ours"),
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

/// For figures that a target compares with each other, and that are quickly had.
const fn thrice(program: Program) -> Program {
    Program { builds: 3, ..program }
}

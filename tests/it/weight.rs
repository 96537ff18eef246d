//! The size of an event on the wire, and the number of dependencies.

use std::{collections::BTreeSet, env, process::Command, time::Duration};

use mosaicstack_telemetry::EventBuilder;
use telemetry_tests::{Simulation, config};
use time::OffsetDateTime;
use uuid::Uuid;

#[path = "../../crates/mosaicstack-telemetry/examples/tour/runs.rs"]
mod runs;

const RUNS: &str =
    include_str!("../../crates/mosaicstack-telemetry/examples/data/swe-bench-pro-runs.jsonl");

const BATCH: usize = 100;

/// The bodies of the requests with all recorded runs.
fn bodies() -> Vec<Vec<u8>> {
    let (runs, errors) = runs::parse(RUNS);
    assert!(errors.is_empty() && runs.len() % BATCH == 0);
    let config = config("https://example.com").max_queue_size(runs.len()).batch_size(BATCH);
    let mut simulation = Simulation::new(&config.build().expect("a configuration"));
    for (run, id) in runs.iter().zip(1..) {
        let builder = EventBuilder::new(Uuid::from_u128(1)).event_id(Uuid::from_u128(id));
        simulation.handle.track(run.event(builder.timestamp(OffsetDateTime::UNIX_EPOCH)));
    }
    simulation.run_until(Duration::from_secs(600), |_| Ok(Default::default()));
    simulation.sent.into_iter().map(|sent| sent.body).collect()
}

#[test]
fn recorded_events_have_their_known_size() {
    let bodies = bodies();
    let sum: usize = bodies.iter().map(Vec::len).sum();
    // Less than a percent more than the shortest JSON with the same keys and values.
    assert_eq!((bodies.len(), sum), (8, 591_305), "bytes of 800 events and 8 envelopes");
}

/// Third-party crates that each set of the façade's features builds.
const CRATES: [(&str, usize); 10] = [
    ("", 32),
    ("backoff", 40),
    ("tokio", 33),
    ("ureq", 47),
    ("spool ureq", 48),
    ("prices ureq", 54),
    ("backoff ring ureq", 59),
    ("hyper", 61),
    ("hyper ring", 66),
    ("backoff hyper ring ureq", 77),
];

/// The crates of this workspace.
const OURS: [&str; 5] = [
    "mosaicstack-telemetry",
    "telemetry-model",
    "telemetry-queue",
    "telemetry-spool",
    "telemetry-transport",
];

fn crates(features: &str) -> BTreeSet<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(
            "tree --locked -p mosaicstack-telemetry --no-default-features --prefix none".split(' '),
        )
        // The numbers differ between platforms.
        .args("-e normal,build --target x86_64-unknown-linux-gnu --features".split(' '))
        .arg(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8_lossy(&output.stdout);
    let names = lines.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    names.filter(|name| !OURS.iter().any(|ours| name.starts_with(ours))).collect()
}

#[test]
fn feature_sets_build_the_listed_number_of_crates() {
    assert_eq!(CRATES.map(|(features, _)| (features, crates(features).len())), CRATES);
}

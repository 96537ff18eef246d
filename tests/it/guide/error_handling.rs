//! Error handling and logging.

use std::time::Duration;

use mosaicstack_telemetry::{LOG_TARGET, TelemetryConfig};
use telemetry_tests::{Log, Simulation, config, status, track};

use crate::client::{Client, Kind};
use crate::support::ABSENT;

const INTERVAL: Duration = Duration::from_secs(300);

/// Configurations with which no event is delivered.
fn misfortunes() -> [TelemetryConfig; 4] {
    let absent = || config(ABSENT).shutdown_timeout(Duration::ZERO);
    [
        TelemetryConfig::disabled(),
        absent().api_key("wrong").build_or_disabled(),
        absent().build().expect("a valid configuration"),
        absent().max_queue_size(1).build().expect("a valid configuration"),
    ]
}

#[test]
fn track_is_safe_with_any_misfortune() {
    for (kind, config) in
        Kind::ALL.into_iter().flat_map(|kind| misfortunes().map(|config| (kind, config)))
    {
        let client = Client::start(kind, config);
        let handle = client.handle();
        track(&handle, 10);
        let stats = client.stop();
        assert_eq!((stats.tracked, stats.delivered), (10, 0));
        track(&handle, 10);
        let stats = handle.stats();
        assert_eq!(stats.tracked, 20);
        assert!(stats.is_balanced(), "{stats:?}");
    }
}

#[test]
fn misconfigured_telemetry_is_disabled_with_a_warning() {
    let log = Log::new();
    let config = config("tel-api.mosaicstack.dev").build_or_disabled();
    assert!(!config.is_enabled());
    let lines = log.lines("WARN mosaicstack_telemetry: telemetry is disabled: ");
    assert_eq!(lines.len(), 1);
    assert_eq!(log.lines("server_url: invalid URL").len(), 1, "with the reason");
}

#[test]
fn submission_is_logged_at_debug_level() {
    assert_eq!(LOG_TARGET, "mosaicstack_telemetry");
    let log = Log::new();
    let mut simulation = Simulation::new(&config("https://example.com").build().unwrap());
    track(&simulation.handle, 2);
    simulation.run_until(INTERVAL, |_| Ok(status(200)));
    assert_eq!(log.lines(""), ["DEBUG mosaicstack_telemetry: submitted batch of 2 events"]);
}

//! Error handling and logging.

use std::time::Duration;

use mosaicstack_telemetry::LOG_TARGET;
use telemetry_tests::{Log, Simulation, config, status, track};

const INTERVAL: Duration = Duration::from_secs(300);

#[test]
fn submission_is_logged_at_debug_level() {
    assert_eq!(LOG_TARGET, "mosaicstack_telemetry");
    let log = Log::new();
    let mut simulation = Simulation::new(&config("https://example.com").build().unwrap());
    track(&simulation.handle, 2);
    simulation.run_until(INTERVAL, |_| Ok(status(200)));
    assert_eq!(log.lines(""), ["DEBUG mosaicstack_telemetry: submitted batch of 2 events"]);
}

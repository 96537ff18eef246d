//! What `track` costs its caller.

mod latency;
mod stuck;

use allocation_counter::measure;
use mosaicstack_telemetry::{TaskCompletionEvent, TelemetryConfig, TelemetryHandle};
use telemetry_tests::{Simulation, config, evidence, track};

fn event(handle: &TelemetryHandle) -> TaskCompletionEvent {
    handle.event().model("claude-sonnet-4-5-20250929").language("rust").build()
}

#[test]
fn track_allocates_once() {
    let config = config("https://example.com").max_queue_size(10).build().unwrap();
    let simulation = Simulation::new(&config);
    let calls = evidence::scale(30, 100_000);
    for _ in 0..calls {
        let event = event(&simulation.handle);
        let cost = measure(|| simulation.handle.track(event));
        assert_eq!(cost.count_total, 1, "the event's own place, also when another is evicted");
    }
    assert_eq!(simulation.handle.stats().evicted, calls - 10);
    evidence::tried("R1", format_args!("{calls} calls, each with one allocation"));
}

#[test]
fn an_evicted_event_is_freed_at_once() {
    let config = config("https://example.com").max_queue_size(10).build().unwrap();
    let simulation = Simulation::new(&config);
    track(&simulation.handle, 10);
    let event = event(&simulation.handle);
    let cost = measure(|| simulation.handle.track(event));
    assert!(cost.count_current < 0, "one place taken, another given back with its text");
    track(&simulation.handle, 10);
    let cost = measure(|| drop(track(&simulation.handle, 100_000)));
    assert_eq!(cost.bytes_current, 0, "memory does not grow");
}

#[test]
fn disabled_telemetry_allocates_nothing() {
    let simulation = Simulation::new(&TelemetryConfig::disabled());
    let event = event(&simulation.handle);
    assert_eq!(measure(|| simulation.handle.track(event)).count_total, 0);
}

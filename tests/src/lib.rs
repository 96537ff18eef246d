//! What the tests share: configurations, a driver in virtual time, and a place where logs land.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/integration.md")]
mod integration {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/from-python.md")]
mod from_python {}

pub mod evidence;
pub mod fuzz;
pub mod lifecycle;
mod log;
mod memory;
mod random;
mod simulation;

use mosaicstack_telemetry::{
    Response, TaskCompletionEvent, TelemetryConfig, TelemetryConfigBuilder, TelemetryHandle,
};
use uuid::Uuid;

pub use self::{
    log::{Fuse, Log},
    memory::{allocated, resident},
    random::Random,
    simulation::{Next, Sent, Simulation, instant},
};

/// A key that must not turn up anywhere but in the header.
pub const KEY: &str = "5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2";

/// The installation that reports in tests.
pub const INSTANCE: &str = "12345678-1234-1234-1234-123456789abc";

/// A configuration for the server at `url`, for tests that name times: its interval is exact.
pub fn config(url: &str) -> TelemetryConfigBuilder {
    // Before the first client logs.
    log::keep_callsites_on();
    TelemetryConfig::builder()
        .server_url(url)
        .api_key(KEY)
        .instance_id(INSTANCE)
        .interval_jitter(false)
}

/// Tracks `count` events and returns their ids.
pub fn track(handle: &TelemetryHandle, count: usize) -> Vec<Uuid> {
    let track = |_| {
        let event = handle.event().build();
        let id = event.event_id;
        handle.track(event);
        id
    };
    (0..count).map(track).collect()
}

/// The events of a request's body.
///
/// # Panics
///
/// It is no batch.
#[must_use]
pub fn events(body: &[u8]) -> Vec<TaskCompletionEvent> {
    let answers = mosaicstack_telemetry::EventBatch::from_json(body).expect("a batch");
    answers.into_iter().map(|event| event.expect("a valid event")).collect()
}

/// An answer with a status and no body.
///
/// # Panics
///
/// There is no such status.
#[must_use]
pub fn status(status: u16) -> Response {
    http::Response::builder().status(status).body(Vec::new()).expect("a status")
}

/// Whether tests should run at full length, as `cargo xtask verify` asks for.
#[must_use]
pub fn long_tests() -> bool {
    std::env::var_os("TELEMETRY_LONG_TESTS").is_some()
}

/// Which client a test uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two clients")]
pub enum Kind {
    /// On a thread, with ureq.
    Blocking,
    /// On tokio, with hyper.
    Tokio,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Blocking, Self::Tokio];
}

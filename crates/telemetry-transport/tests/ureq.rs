//! `UreqTransport` against real sockets on loopback.
#![cfg(feature = "ureq")]

use telemetry_transport::UreqTransport;

mod common;
#[path = "common/scenarios.rs"]
mod scenarios;

scenarios::scenarios! { UreqTransport::new() }

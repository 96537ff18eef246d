//! Whatever carries events to a server, under one interface.

mod floors;
mod opentelemetry;
mod ours;
mod posthog;
mod sentry;

use std::{sync::Arc, time::Duration};

use mosaicstack_telemetry::TaskCompletionEvent;
use tokio::runtime::{Builder, Runtime};

use self::{
    floors::{HyperFloor, UreqFloor},
    opentelemetry::OpenTelemetry,
    ours::{OnHyper, OnUreq},
    posthog::PostHog,
    sentry::Sentry,
};
use crate::Failure;

/// How many events are in a request, where that can be chosen.
pub const BATCH: usize = 100;

/// How long a flush or a stop may take; on loopback, none needs it.
const AMPLE: Duration = Duration::from_secs(60);

/// How long a request may take: our default.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a client sends, and when.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The sink's port.
    pub port: u16,
    /// How often it sends by itself; none is its default.
    pub interval: Option<Duration>,
}

/// A client. What it does not say otherwise is its default.
pub trait Carrier: Sized {
    /// What it takes, ready to be handed over.
    type Event;
    /// What a program has anyway, and starts before: a runtime, or nothing.
    type Home: Home;

    /// Makes an event.
    ///
    /// # Errors
    ///
    /// It does not take such an event.
    fn event(event: &TaskCompletionEvent) -> Result<Self::Event, Failure>;

    /// Starts a client.
    ///
    /// # Errors
    ///
    /// It does not start.
    fn start(home: &Self::Home, plan: &Plan) -> Result<Self, Failure>;

    /// Hands events over.
    ///
    /// # Errors
    ///
    /// They cannot be sent, if it sends them here.
    fn hand_over(&mut self, events: Vec<Self::Event>) -> Result<(), Failure>;

    /// Waits until all that was handed over has been sent.
    ///
    /// # Errors
    ///
    /// It was not.
    fn flush(&mut self) -> Result<(), Failure>;

    /// Sends what is left, and ends.
    ///
    /// # Errors
    ///
    /// Something could not be sent.
    fn stop(self) -> Result<(), Failure>;
}

/// What a client lives in.
pub trait Home: Sized {
    /// On the calling thread, which drives it while it waits.
    ///
    /// # Errors
    ///
    /// There is none.
    fn on_this_thread() -> Result<Self, Failure>;

    /// On one thread of its own.
    ///
    /// # Errors
    ///
    /// There is none.
    fn on_a_thread() -> Result<Self, Failure>;
}

impl Home for () {
    fn on_this_thread() -> Result<Self, Failure> {
        Ok(())
    }

    fn on_a_thread() -> Result<Self, Failure> {
        Ok(())
    }
}

impl Home for Arc<Runtime> {
    fn on_this_thread() -> Result<Self, Failure> {
        Ok(Self::new(Builder::new_current_thread().enable_all().build()?))
    }

    fn on_a_thread() -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self::new(runtime))
    }
}

/// What is done with a carrier, whichever it is.
pub trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it.
    ///
    /// # Errors
    ///
    /// Whatever fails.
    fn visit<C: Carrier>(self) -> Result<Self::Output, Failure>;
}

/// Ours, on both transports.
pub const OURS: [&str; 2] = ["mosaicstack-telemetry, ureq", "mosaicstack-telemetry, hyper"];

/// Those of the others that are clients in their own right.
pub const PEERS: [&str; 3] = ["posthog-rs", "opentelemetry", "sentry"];

/// Loops that encode and send, and nothing else.
pub const FLOORS: [&str; 4] =
    ["floor: ureq", "floor: ureq, no look-up", "floor: ureq, no time-out", "floor: hyper"];

/// The peer whose batches can be larger, as they are by default.
pub const BY_512: &str = "opentelemetry, batches of 512";

/// Has `visitor` visit the subject of that name.
///
/// # Errors
///
/// There is no such subject, or the visitor's.
pub fn visit<V: Visitor>(subject: &str, visitor: V) -> Result<V::Output, Failure> {
    match subject {
        "mosaicstack-telemetry, ureq" => visitor.visit::<OnUreq>(),
        "mosaicstack-telemetry, hyper" => visitor.visit::<OnHyper>(),
        "floor: ureq" => visitor.visit::<UreqFloor<true, true>>(),
        "floor: ureq, no look-up" => visitor.visit::<UreqFloor<true, false>>(),
        "floor: ureq, no time-out" => visitor.visit::<UreqFloor<false, true>>(),
        "floor: hyper" => visitor.visit::<HyperFloor>(),
        "posthog-rs" => visitor.visit::<PostHog>(),
        "opentelemetry" => visitor.visit::<OpenTelemetry<BATCH>>(),
        BY_512 => visitor.visit::<OpenTelemetry<512>>(),
        "sentry" => visitor.visit::<Sentry>(),
        _ => Err(format!("no such subject: {subject}").into()),
    }
}

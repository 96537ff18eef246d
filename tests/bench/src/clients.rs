//! Adapters for the SDK, its peers, and baselines.
//!
//! `docs/benchmarks.md` says which work each of the measured calls does.

mod baselines;
mod channels;
mod gate;
mod opentelemetry;
mod posthog;
mod sdk;
mod sentry;

use std::{sync::Arc, time::Duration};

use mosaicstack_telemetry::TaskCompletionEvent;
use tokio::runtime::Runtime;

use self::gate::Gate;
pub(crate) use self::{
    baselines::{Clock, Deque, HYPER, Loop, UREQ, UREQ_WITHOUT_TIMEOUT},
    channels::{Cadence, TracingAppender},
    opentelemetry::OpenTelemetry,
    posthog::PostHog,
    sdk::{Sdk, SdkOnTokio, SdkWithSpool},
    sentry::{Sentry, SentryLogs},
};
use crate::{Result, events::Sample};

/// The number of events in a request, where that can be chosen.
pub(crate) const BATCH: usize = 100;

/// The capacity of a queue that is to be full.
const PLACES: usize = 1_000;

/// The timeout of a flush or a stop; on loopback, none needs it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client that takes events and sends nothing, for `hand-over`.
pub(crate) trait Contender: Sized {
    /// The name in the tables.
    const NAME: &'static str;

    /// The number of events that the client's thread takes before it blocks at a closed gate; 0 if
    /// there is no such thread.
    const TAKEN: usize = 1;

    /// The number of events to evict before a measurement on a full queue.
    const EVICTED: usize = 0;

    type Producer: Producer;

    /// Starts a client with a queue of `capacity` events, whose thread passes its events to `gate`. The
    /// gate is closed if the queue is to be full.
    fn start(capacity: usize, gate: &Gate) -> Result<Self>;

    /// Returns a producer for one thread.
    fn producer(&self) -> Self::Producer;

    /// Stops the client and returns how many events it has kept, or `None` if it never keeps any.
    fn finish(self, gate: &Gate) -> Result<Option<u64>>;
}

/// Hands events over from one thread.
pub(crate) trait Producer: Send {
    type Item: Send;

    /// Makes an event, as an application does at the end of a task.
    fn build(&self, sample: &'static Sample) -> Self::Item;

    /// The measured call.
    fn hand_over(&mut self, item: Self::Item);

    /// Makes an event and hands it over.
    fn build_and_hand_over(&mut self, sample: &'static Sample) {
        let item = self.build(sample);
        self.hand_over(item);
    }
}

/// A client that sends events, for `delivery` and `start-stop`.
pub(crate) trait Exporter: Sized {
    /// The name in the tables.
    const NAME: &'static str;

    type Event;

    fn event(event: TaskCompletionEvent) -> Result<Self::Event>;

    fn start(plan: &Plan) -> Result<Self>;

    fn export(&mut self, events: Vec<Self::Event>) -> Result<()>;

    /// Waits until all events that were exported have been sent.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Sends the remaining events, and ends the client.
    fn stop(self) -> Result<()> {
        Ok(())
    }
}

/// The parameters of an exporter; all others have their defaults.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The port of the sink.
    pub(crate) port: u16,
    /// The interval at which the client sends; `None` for its default.
    pub(crate) interval: Option<Duration>,
    /// The application's runtime, started before the client.
    pub(crate) runtime: Arc<Runtime>,
}

/// A contender with its queue in the state that a case asks for.
#[derive(Debug)]
pub(crate) struct Running<C> {
    client: C,
    gate: Gate,
    prefilled: usize,
}

impl<C: Contender> Running<C> {
    /// Starts a client with a full queue, or with room for that many events.
    pub(crate) fn start(is_full: bool, events: usize, samples: &'static [Sample]) -> Result<Self> {
        let gate = Gate::new(!is_full);
        // Some take a queue with exactly as many events as places for a full batch, and wake up.
        let client = C::start(if is_full { PLACES } else { events + PLACES }, &gate)?;
        if !is_full {
            return Ok(Self { client, gate, prefilled: 0 });
        }
        let mut producer = client.producer();
        let mut offer = |events| {
            let samples = samples.iter().cycle().take(events);
            samples.for_each(|sample| producer.build_and_hand_over(sample));
        };
        if C::TAKEN > 0 {
            offer(C::TAKEN);
            gate.wait_until_reached()?;
        }
        offer(PLACES + C::EVICTED);
        drop(producer);
        Ok(Self { client, gate, prefilled: C::TAKEN + PLACES })
    }

    pub(crate) fn producer(&self) -> C::Producer {
        self.client.producer()
    }

    /// Stops the client. Fails unless it has lost all `offered` events on a full queue, and none on a
    /// roomy one.
    pub(crate) fn finish(self, offered: usize) -> Result<()> {
        self.gate.open();
        let expected = if self.prefilled > 0 { self.prefilled } else { offered } as u64;
        match self.client.finish(&self.gate)? {
            Some(kept) if kept != expected => {
                Err(format!("{kept} events were kept instead of {expected}").into())
            }
            _ => Ok(()),
        }
    }
}

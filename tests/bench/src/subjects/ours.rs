//! This SDK.

use std::time::Duration;

use mosaicstack_telemetry::{
    Request, Response, Stats, TaskCompletionEvent, TelemetryClient, TelemetryConfig,
    TelemetryHandle, TransportError,
};

use super::{PLACES, Producer, Room, Sample, Subject, gate::Gate, offer};
use crate::events::INSTANCE;

/// `TelemetryHandle::track`, on the blocking client.
///
/// In the measured call: the event is moved into a box of its own, the one allocation, and the box
/// into the queue; counters are incremented. No lock is taken, nothing is serialized. An evicted event
/// is freed within the call, with its box and its texts; the peers, which refuse the new event
/// instead, free that one within theirs. The first eviction of a spell wakes the client's thread, which
/// is before the clock starts.
///
/// Without an early flush the client's thread sleeps: the interval is an hour. With it, as a client is
/// by default, each full batch wakes it, and it encodes what there is while the calls go on. What it
/// sends is taken at once; or, in the full case, it is held up with the first batch.
#[derive(Debug)]
pub struct Ours<const EARLY_FLUSH: bool = false> {
    client: TelemetryClient,
    gate: Gate,
    before: Stats,
}

/// With an early flush.
pub type OursAsShipped = Ours<true>;

/// How many events wake the client's thread.
const BATCH: usize = 100;

impl<const EARLY_FLUSH: bool> Subject for Ours<EARLY_FLUSH> {
    const NAME: &'static str =
        if EARLY_FLUSH { "mosaicstack-telemetry, early flush" } else { "mosaicstack-telemetry" };

    type Producer = TelemetryHandle;

    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String> {
        let config = TelemetryConfig::builder()
            .server_url("http://127.0.0.1:9")
            .api_key("a".repeat(64))
            .instance_id(INSTANCE)
            .max_queue_size(room.places())
            .batch_size(BATCH)
            .early_flush(EARLY_FLUSH)
            .submit_interval(Duration::from_secs(3_600))
            .interval_jitter(false)
            .shutdown_timeout(Duration::ZERO)
            .build()
            .map_err(|error| error.to_string())?;
        let gate = Gate::new(room != Room::Full);
        let server = gate.clone();
        let transport = move |_: Request| -> Result<Response, TransportError> {
            server.pass(1);
            Ok(Response::default())
        };
        let client = TelemetryClient::with_transport(config, transport);
        let mut subject = Self { client, gate, before: Stats::default() };
        if room == Room::Full {
            if EARLY_FLUSH {
                offer(&subject, samples, BATCH);
                subject.gate.wait_until_reached()?;
            }
            offer(&subject, samples, PLACES + 1);
            subject.before = subject.client.stats();
        }
        Ok(subject)
    }

    fn producer(&self) -> TelemetryHandle {
        self.client.handle()
    }

    fn finish(self, offered: u64) -> Result<u64, String> {
        let stats = self.client.stats();
        self.gate.open();
        drop(self.client);
        let tracked = self.before.tracked + offered;
        // While a batch is being settled, the books need not balance.
        let is_balanced = EARLY_FLUSH || stats.is_balanced();
        if !is_balanced || stats.tracked != tracked || stats.dropped.total() != 0 {
            return Err(format!("{tracked} events were tracked, but: {stats}"));
        }
        Ok(stats.evicted - self.before.evicted)
    }
}

impl Producer for TelemetryHandle {
    type Item = TaskCompletionEvent;

    fn build(&self, sample: &'static Sample) -> TaskCompletionEvent {
        sample.event(self.event())
    }

    fn hand_over(&mut self, item: TaskCompletionEvent) {
        self.track(item);
    }
}

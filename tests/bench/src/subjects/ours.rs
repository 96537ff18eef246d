//! This SDK.

use std::time::Duration;

use mosaicstack_telemetry::{
    Request, Response, TaskCompletionEvent, TelemetryClient, TelemetryConfig, TelemetryHandle,
    TransportError,
};

use super::{PLACES, Producer, Room, Sample, Subject, offer, sample::INSTANCE};

/// `TelemetryHandle::track`, on the blocking client.
///
/// In the measured call: the event is moved into a box of its own, the one allocation, and the box
/// into the queue; counters are incremented. No lock is taken, nothing is serialized, no thread is
/// woken (but by the first eviction of a spell, which is before the clock starts). An evicted event
/// is freed within the call, with its box and its texts; the peers, which refuse the new event
/// instead, free that one within theirs.
///
/// The client's thread sleeps: an early flush is off and the interval an hour.
#[derive(Debug)]
pub struct Ours {
    client: TelemetryClient,
    prefilled: u64,
}

impl Subject for Ours {
    const NAME: &'static str = "mosaicstack-telemetry";

    type Producer = TelemetryHandle;

    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String> {
        let config = TelemetryConfig::builder()
            .server_url("http://127.0.0.1:9")
            .api_key("a".repeat(64))
            .instance_id(INSTANCE)
            .max_queue_size(room.places())
            .early_flush(false)
            .submit_interval(Duration::from_secs(3_600))
            .interval_jitter(false)
            .shutdown_timeout(Duration::ZERO)
            .build()
            .map_err(|error| error.to_string())?;
        let transport = |_: Request| -> Result<Response, TransportError> {
            Err(TransportError::network("nothing is sent"))
        };
        let client = TelemetryClient::with_transport(config, transport);
        let prefilled = if room == Room::Full { PLACES + 1 } else { 0 };
        let subject = Self { client, prefilled: prefilled as u64 };
        offer(&subject, samples, prefilled);
        Ok(subject)
    }

    fn producer(&self) -> TelemetryHandle {
        self.client.handle()
    }

    fn finish(self, offered: u64) -> Result<u64, String> {
        let stats = self.client.stats();
        let tracked = offered + self.prefilled;
        let before = u64::from(self.prefilled > 0);
        drop(self.client);
        if !stats.is_balanced() || stats.tracked != tracked || stats.dropped.total() != 0 {
            return Err(format!("{tracked} events were tracked, but: {stats}"));
        }
        Ok(stats.evicted - before)
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

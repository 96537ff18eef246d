//! posthog-rs.

use std::{fmt, sync::Arc};

use posthog_rs::{Client, ClientOptionsBuilder, Event};

use super::{PLACES, Producer, Room, Sample, Subject, gate::Gate, lost, offer};

/// `Client::capture`, blocking client.
///
/// In the measured call: a place is reserved by a compare-and-swap, the event gets a time if it has
/// none, is moved into a box and sent through a channel of std without a bound, which allocates a
/// block for each 31 messages. The client's thread takes each message out as it comes, so a call
/// wakes it whenever it had time to fall asleep. Nothing is serialized. A refused event is freed
/// within the call.
///
/// Nothing is sent: a flush takes more events than there can be, and at the end a hook counts and
/// discards them.
pub struct PostHog {
    client: Arc<Client>,
    counted: Gate,
    prefilled: u64,
}

impl Subject for PostHog {
    const NAME: &'static str = "posthog-rs";

    type Producer = Arc<Client>;

    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String> {
        let counted = Gate::new(true);
        let hook = counted.clone();
        let mut options = ClientOptionsBuilder::default();
        options
            .host("http://127.0.0.1:9")
            .api_key("phc_benchmark".into())
            .flush_at(usize::MAX)
            .flush_interval_ms(3_600_000)
            .max_queue_size(room.places())
            .shutdown_timeout_ms(10_000)
            .before_send(move |_| {
                hook.pass(1);
                None
            });
        let options = options.build().map_err(|error| error.to_string())?;
        let client = Arc::new(posthog_rs::client(options));
        let prefilled = if room == Room::Full { PLACES } else { 0 };
        let subject = Self { client, counted, prefilled: prefilled as u64 };
        offer(&subject, samples, prefilled);
        Ok(subject)
    }

    fn producer(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    fn finish(self, offered: u64) -> Result<u64, String> {
        self.client.flush();
        self.client.shutdown();
        lost(offered, self.prefilled, self.counted.passed())
    }
}

impl fmt::Debug for PostHog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostHog").field("prefilled", &self.prefilled).finish_non_exhaustive()
    }
}

impl Producer for Arc<Client> {
    type Item = Event;

    fn build(&self, sample: &'static Sample) -> Event {
        let mut event = Event::new("task", "12345678-1234-1234-1234-123456789abc");
        for (name, value) in &sample.fields {
            event.insert_prop(*name, value).expect("texts and numbers are JSON");
        }
        event
    }

    fn hand_over(&mut self, item: Event) {
        self.capture(item);
    }
}

//! sentry.

use std::{fmt, sync::Arc, time::Duration};

use sentry::{
    Client, ClientOptions, Envelope, Hub, Scope, Transport, TransportFactory, TransportOptions,
    protocol::{EnvelopeItem, Event, ItemContainer},
    transports::{RateLimiter, StdTransportThread, StdTransportThreadOptions},
};

use super::{Producer, Room, Sample, Subject, fill, gate::Gate, lost};

/// `Hub::capture_event`, each thread with a hub of its own, as sentry has it.
///
/// In the measured call: the event is prepared (the hub's and the scope's locks are taken, the SDK's
/// name, the scope's data and a trace context are added), becomes an envelope, and is sent through a
/// bounded channel of std. Nothing is serialized. The thread behind the channel takes each envelope
/// out as it comes, so a call wakes it whenever it had time to fall asleep. A refused envelope is
/// counted under a lock and freed within the call.
///
/// The transport is sentry's own thread, as in its transports for HTTP, but what it calls to send does
/// nothing; in the full case it is held up with the first envelope.
pub struct Sentry {
    client: Arc<Client>,
    gate: Gate,
    prefilled: u64,
}

/// Makes a transport whose channel has so many places for envelopes.
struct Factory {
    gate: Gate,
    places: usize,
}

struct Thread(StdTransportThread);

impl Subject for Sentry {
    const NAME: &'static str = "sentry";

    type Producer = Hub;

    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String> {
        let is_full = room == Room::Full;
        let gate = Gate::new(!is_full);
        let client = client(&gate, room.places());
        let mut subject = Self { client, gate, prefilled: 0 };
        if is_full {
            subject.prefilled = fill(&subject, &subject.gate, samples)?;
        }
        Ok(subject)
    }

    fn producer(&self) -> Hub {
        hub(&self.client)
    }

    fn finish(self, offered: u64) -> Result<u64, String> {
        self.gate.open();
        flush(&self.client)?;
        lost(offered, self.prefilled, self.gate.passed())
    }
}

/// A client whose transport passes the gate, from a channel with so many places for envelopes.
pub(super) fn client(gate: &Gate, places: usize) -> Arc<Client> {
    let options = ClientOptions::new()
        .dsn("http://key@127.0.0.1:9/1")
        .auto_session_tracking(false)
        .transport(Factory { gate: gate.clone(), places });
    Arc::new(Client::from(sentry::apply_defaults(options)))
}

/// For one more thread.
pub(super) fn hub(client: &Arc<Client>) -> Hub {
    Hub::new(Some(Arc::clone(client)), Arc::new(Scope::default()))
}

pub(super) fn flush(client: &Client) -> Result<(), String> {
    let is_flushed = client.flush(Some(Duration::from_secs(10)));
    if is_flushed { Ok(()) } else { Err("sentry did not flush".into()) }
}

/// How many events or logs an envelope carries.
fn carried(envelope: &Envelope) -> u64 {
    let carried = envelope.items().map(|item| match item {
        EnvelopeItem::Event(_) => 1,
        EnvelopeItem::ItemContainer(ItemContainer::Logs(logs)) => logs.len() as u64,
        _ => 0,
    });
    carried.sum()
}

impl TransportFactory for Factory {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        let gate = self.gate.clone();
        let send = move |envelope: Envelope, _: &mut RateLimiter| {
            gate.pass(carried(&envelope));
        };
        let thread = StdTransportThreadOptions::new(send)
            .with_client_report_recorder(options.client_report_recorder)
            .with_channel_capacity(self.places)
            .spawn_thread();
        Arc::new(Thread(thread))
    }
}

impl Transport for Thread {
    fn send_envelope(&self, envelope: Envelope) {
        self.0.send(envelope);
    }

    fn flush(&self, timeout: Duration) -> bool {
        self.0.flush(timeout)
    }
}

impl fmt::Debug for Sentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentry").field("prefilled", &self.prefilled).finish_non_exhaustive()
    }
}

impl Producer for Hub {
    type Item = Event<'static>;

    fn build(&self, sample: &'static Sample) -> Event<'static> {
        let mut event = Event::new();
        for (name, value) in &sample.fields {
            event.extra.insert((*name).into(), value.clone().into());
        }
        event
    }

    fn hand_over(&mut self, item: Event<'static>) {
        self.capture_event(item);
    }
}

//! sentry, with events and with structured logs.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use mosaicstack_telemetry::TaskCompletionEvent;
use sentry::{
    Client, ClientOptions, Envelope, Hub, Scope, Transport, TransportFactory, TransportOptions,
    protocol::{EnvelopeItem, Event, ItemContainer, Log, LogLevel},
    transports::{RateLimiter, StdTransportThread, StdTransportThreadOptions},
    types::Dsn,
};

use super::{Contender, Exporter, Gate, Plan, Producer, TIMEOUT};
use crate::{
    Result,
    events::{Fields, Sample, fields, flat},
};

/// The number of logs in an envelope, which is fixed.
const BATCH: usize = 100;

/// Events, with a hub for each thread, as is usual with sentry.
///
/// As a contender, its transport is sentry's own thread, as in its transports for HTTP, with a no-op
/// for sending.
pub(crate) struct Sentry(Arc<Client>);

impl Contender for Sentry {
    const NAME: &'static str = "sentry";

    type Producer = Hub;

    fn start(capacity: usize, gate: &Gate) -> Result<Self> {
        Ok(Self(client(capacity, gate)))
    }

    fn producer(&self) -> Hub {
        hub(&self.0)
    }

    fn finish(self, gate: &Gate) -> Result<Option<u64>> {
        check(self.0.flush(Some(TIMEOUT)))?;
        Ok(Some(gate.passed()))
    }
}

impl Producer for Hub {
    type Item = Event<'static>;

    fn build(&self, sample: &'static Sample) -> Event<'static> {
        let mut event = Event::new();
        for (name, value) in &sample.fields {
            event.extra.insert((*name).into(), value.clone());
        }
        event
    }

    fn hand_over(&mut self, item: Event<'static>) {
        self.capture_event(item);
    }
}

/// Structured logs, with a hub for each thread.
///
/// Every 5 s sentry sends the logs that it has, in an envelope that is not full; a measurement that
/// takes this long fails.
pub(crate) struct SentryLogs(Arc<Client>);

/// Logs from one thread.
pub(crate) struct Logger(Hub);

impl Contender for SentryLogs {
    const NAME: &'static str = "sentry, logs";
    const TAKEN: usize = BATCH;

    type Producer = Logger;

    fn start(capacity: usize, gate: &Gate) -> Result<Self> {
        Ok(Self(client(capacity / BATCH, gate)))
    }

    fn producer(&self) -> Logger {
        Logger(hub(&self.0))
    }

    fn finish(self, gate: &Gate) -> Result<Option<u64>> {
        Sentry(self.0).finish(gate)
    }
}

impl Producer for Logger {
    type Item = Log;

    fn build(&self, sample: &'static Sample) -> Log {
        log("task", SystemTime::now(), sample.fields.iter().cloned())
    }

    fn hand_over(&mut self, item: Log) {
        self.0.capture_log(item);
    }
}

impl Exporter for SentryLogs {
    const NAME: &'static str = "sentry";

    type Event = Log;

    fn event(event: TaskCompletionEvent) -> Result<Log> {
        let id: Fields = vec![("event_id", event.event_id.to_string().into())];
        let (identity, fields) = fields(&event)?;
        // Logs have no lists: sentry would write JSON into a text.
        let fields = fields.into_iter().map(|(name, value)| (name, flat(value)));
        let all = fields.chain(id).chain(identity);
        Ok(log("task_completion", event.timestamp.into(), all))
    }

    // Its intervals cannot be chosen.
    fn start(plan: &Plan) -> Result<Self> {
        let dsn: Dsn = format!("http://key@127.0.0.1:{}/1", plan.port).parse()?;
        let mut options = ClientOptions::new();
        options.dsn = Some(dsn);
        Ok(Self(Arc::new(Client::with_options(sentry::apply_defaults(options)))))
    }

    fn export(&mut self, events: Vec<Log>) -> Result<()> {
        let scope = Scope::default();
        events.into_iter().for_each(|event| self.0.capture_log(event, &scope));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        check(self.0.flush(Some(TIMEOUT)))
    }

    fn stop(self) -> Result<()> {
        check(self.0.close(Some(TIMEOUT)))
    }
}

fn log(
    body: &str,
    timestamp: SystemTime,
    fields: impl Iterator<Item = (&'static str, serde_json::Value)>,
) -> Log {
    Log {
        level: LogLevel::Info,
        body: body.to_owned(),
        trace_id: None,
        timestamp,
        severity_number: None,
        attributes: fields.map(|(name, value)| (name.to_owned(), value.into())).collect(),
    }
}

fn check(is_in_time: bool) -> Result<()> {
    if is_in_time { Ok(()) } else { Err("sentry did not send everything in time".into()) }
}

/// A client with a channel of `capacity` envelopes, whose thread passes the gate.
fn client(capacity: usize, gate: &Gate) -> Arc<Client> {
    let options = ClientOptions::new()
        .dsn("http://key@127.0.0.1:9/1")
        .auto_session_tracking(false)
        .transport(Factory { gate: gate.clone(), capacity });
    Arc::new(Client::from(sentry::apply_defaults(options)))
}

fn hub(client: &Arc<Client>) -> Hub {
    Hub::new(Some(Arc::clone(client)), Arc::new(Scope::default()))
}

struct Factory {
    gate: Gate,
    capacity: usize,
}

impl TransportFactory for Factory {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        let gate = self.gate.clone();
        let send = move |envelope: Envelope, _: &mut RateLimiter| {
            let events = envelope.items().map(|item| match item {
                EnvelopeItem::Event(_) => 1,
                EnvelopeItem::ItemContainer(ItemContainer::Logs(logs)) => logs.len() as u64,
                _ => 0,
            });
            gate.pass(events.sum());
        };
        let thread = StdTransportThreadOptions::new(send)
            .with_client_report_recorder(options.client_report_recorder)
            .with_channel_capacity(self.capacity)
            .spawn_thread();
        Arc::new(Thread(thread))
    }
}

struct Thread(StdTransportThread);

impl Transport for Thread {
    fn send_envelope(&self, envelope: Envelope) {
        self.0.send(envelope);
    }

    fn flush(&self, timeout: Duration) -> bool {
        self.0.flush(timeout)
    }
}

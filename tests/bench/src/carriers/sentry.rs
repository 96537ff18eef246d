//! sentry with its transport over ureq: a structured log for each event, in envelopes of 100.

use mosaicstack_telemetry::TaskCompletionEvent;
use sentry::{
    Client, ClientOptions, Scope,
    protocol::{Log, LogLevel},
    types::Dsn,
};

use super::{AMPLE, Carrier, Plan};
use crate::{
    Failure,
    fields::{Value, fields, identity},
};

pub(super) struct Sentry {
    client: Client,
    scope: Scope,
}

impl Carrier for Sentry {
    type Event = Log;
    type Home = ();

    fn event(event: &TaskCompletionEvent) -> Result<Log, Failure> {
        // It has no lists: it would write JSON into the text.
        let attribute = |(name, value): (&str, Value)| (name.to_owned(), value.flat().into());
        let id = [("event_id", event.event_id.to_string())].into_iter().chain(identity(event));
        let id = id.map(|(name, value)| (name.to_owned(), value.into()));
        Ok(Log {
            level: LogLevel::Info,
            body: "task_completion".to_owned(),
            trace_id: None,
            timestamp: event.timestamp.into(),
            severity_number: None,
            attributes: fields(event).into_iter().map(attribute).chain(id).collect(),
        })
    }

    /// Its intervals cannot be chosen.
    fn start((): &(), plan: &Plan) -> Result<Self, Failure> {
        let dsn: Dsn = format!("http://key@127.0.0.1:{}/1", plan.port).parse()?;
        let mut options = ClientOptions::new();
        options.dsn = Some(dsn);
        let client = Client::with_options(sentry::apply_defaults(options));
        Ok(Self { client, scope: Scope::default() })
    }

    fn hand_over(&mut self, events: Vec<Log>) -> Result<(), Failure> {
        events.into_iter().for_each(|event| self.client.capture_log(event, &self.scope));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        check(self.client.flush(Some(AMPLE)))
    }

    fn stop(self) -> Result<(), Failure> {
        check(self.client.close(Some(AMPLE)))
    }
}

fn check(in_time: bool) -> Result<(), Failure> {
    if in_time { Ok(()) } else { Err("sentry has not sent everything in time".into()) }
}

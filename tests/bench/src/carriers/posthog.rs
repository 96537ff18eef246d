//! posthog-rs: an event of it for each of ours.

use mosaicstack_telemetry::TaskCompletionEvent;
use posthog_rs::{Client, ClientOptionsBuilder, Event};

use super::{Carrier, Plan};
use crate::{
    Failure,
    fields::{fields, identity},
};

pub(super) struct PostHog(Client);

impl Carrier for PostHog {
    type Event = Event;
    type Home = ();

    fn event(event: &TaskCompletionEvent) -> Result<Event, Failure> {
        let [(_, instance), (version, value)] = identity(event);
        let mut made = Event::new("task_completion".to_owned(), instance);
        made.insert_prop(version, value)?;
        made.set_uuid(event.event_id);
        for (name, value) in fields(event) {
            made.insert_prop(name, value)?;
        }
        Ok(made)
    }

    fn start((): &(), plan: &Plan) -> Result<Self, Failure> {
        let mut options = ClientOptionsBuilder::default();
        options.api_key("phc_key".to_owned()).host(format!("http://127.0.0.1:{}", plan.port));
        if let Some(interval) = plan.interval {
            options.flush_interval_ms(u64::try_from(interval.as_millis())?);
        }
        Ok(Self(posthog_rs::client(options.build()?)))
    }

    fn hand_over(&mut self, events: Vec<Event>) -> Result<(), Failure> {
        events.into_iter().for_each(|event| self.0.capture(event));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush();
        Ok(())
    }

    fn stop(self) -> Result<(), Failure> {
        self.0.shutdown();
        Ok(())
    }
}

//! posthog-rs, the blocking client.

use std::sync::Arc;

use mosaicstack_telemetry::TaskCompletionEvent;
use posthog_rs::{Client, ClientOptionsBuilder, Event};

use super::{Contender, Exporter, Gate, Plan, Producer};
use crate::{
    Result,
    events::{Sample, fields},
};

/// As a contender, it sends nothing: a flush needs more events than there are, and a hook discards all
/// at the end.
pub(crate) struct PostHog(Arc<Client>);

impl Contender for PostHog {
    const NAME: &'static str = "posthog-rs";
    // An event takes a place in the queue until it is flushed.
    const TAKEN: usize = 0;

    type Producer = Arc<Client>;

    fn start(capacity: usize, gate: &Gate) -> Result<Self> {
        let gate = gate.clone();
        let mut options = ClientOptionsBuilder::default();
        options
            .host("http://127.0.0.1:9")
            .api_key("phc_benchmark".into())
            .flush_at(usize::MAX)
            .flush_interval_ms(3_600_000)
            .max_queue_size(capacity)
            .shutdown_timeout_ms(10_000)
            .before_send(move |_| {
                gate.pass(1);
                None
            });
        Ok(Self(Arc::new(posthog_rs::client(options.build()?))))
    }

    fn producer(&self) -> Arc<Client> {
        Arc::clone(&self.0)
    }

    fn finish(self, gate: &Gate) -> Result<Option<u64>> {
        self.0.flush();
        self.0.shutdown();
        Ok(Some(gate.passed()))
    }
}

impl Producer for Arc<Client> {
    type Item = Event;

    fn build(&self, sample: &'static Sample) -> Event {
        let mut event = Event::new("task", "12345678-1234-1234-1234-123456789abc");
        for (name, value) in &sample.fields {
            event.insert_prop(*name, value).expect("texts and numbers are valid JSON");
        }
        event
    }

    fn hand_over(&mut self, item: Event) {
        self.capture(item);
    }
}

impl Exporter for PostHog {
    const NAME: &'static str = "posthog-rs";

    type Event = Event;

    fn event(event: TaskCompletionEvent) -> Result<Event> {
        let (identity, fields) = fields(&event)?;
        let mut made = Event::new("task_completion".to_owned(), event.instance_id.to_string());
        made.set_uuid(event.event_id);
        // The instance is its `distinct_id`.
        for (name, value) in identity.into_iter().skip(1).chain(fields) {
            made.insert_prop(name, value)?;
        }
        Ok(made)
    }

    fn start(plan: &Plan) -> Result<Self> {
        let mut options = ClientOptionsBuilder::default();
        options.api_key("phc_key".to_owned()).host(format!("http://127.0.0.1:{}", plan.port));
        if let Some(interval) = plan.interval {
            options.flush_interval_ms(u64::try_from(interval.as_millis())?);
        }
        Ok(Self(Arc::new(posthog_rs::client(options.build()?))))
    }

    fn export(&mut self, events: Vec<Event>) -> Result<()> {
        events.into_iter().for_each(|event| self.0.capture(event));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush();
        Ok(())
    }

    fn stop(self) -> Result<()> {
        self.0.shutdown();
        Ok(())
    }
}

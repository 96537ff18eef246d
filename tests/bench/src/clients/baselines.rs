//! Lower bounds: a queue, an empty call, and loops that encode and send batches.

use std::{
    collections::VecDeque,
    hint::black_box,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use mosaicstack_telemetry::{EventBuilder, TaskCompletionEvent};
use ureq::Agent;

use super::{BATCH, Contender, Exporter, Gate, Plan, Producer};
use crate::{
    Result,
    events::{INSTANCE, Sample, to_json},
};

type Events = VecDeque<Box<TaskCompletionEvent>>;

/// `Mutex<VecDeque<Box<E>>>::push_back` of an event of the SDK, with preallocated capacity.
///
/// The call moves the event into a box, its one allocation, and appends the box under the lock. On a
/// full queue it removes the oldest under the same lock, and frees it afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Deque {
    events: Arc<Mutex<Events>>,
    capacity: usize,
}

impl Deque {
    fn lock(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contender for Deque {
    const NAME: &'static str = "baseline: Mutex<VecDeque<Box>>";
    const TAKEN: usize = 0;

    type Producer = Self;

    fn start(capacity: usize, _: &Gate) -> Result<Self> {
        Ok(Self { events: Arc::new(Mutex::new(VecDeque::with_capacity(capacity))), capacity })
    }

    fn producer(&self) -> Self {
        self.clone()
    }

    fn finish(self, _: &Gate) -> Result<Option<u64>> {
        Ok(Some(self.lock().len() as u64))
    }
}

impl Producer for Deque {
    type Item = TaskCompletionEvent;

    fn build(&self, sample: &'static Sample) -> TaskCompletionEvent {
        sample.event(EventBuilder::new(INSTANCE))
    }

    fn hand_over(&mut self, item: TaskCompletionEvent) {
        let item = Box::new(item);
        let mut events = self.lock();
        let evicted = if events.len() < self.capacity { None } else { events.pop_front() };
        events.push_back(item);
        drop(events);
        drop(evicted);
    }
}

/// An empty call: the two readings of the clock that the percentiles of all contenders include.
#[derive(Debug)]
pub(crate) struct Clock;

impl Contender for Clock {
    const NAME: &'static str = "baseline: the clock alone";
    const TAKEN: usize = 0;

    type Producer = ();

    fn start(_: usize, _: &Gate) -> Result<Self> {
        Ok(Self)
    }

    fn producer(&self) {}

    fn finish(self, _: &Gate) -> Result<Option<u64>> {
        Ok(None)
    }
}

impl Producer for () {
    type Item = ();

    fn build(&self, _: &'static Sample) {}

    fn hand_over(&mut self, item: ()) {
        black_box(item);
    }
}

/// A loop that encodes batches and posts them, one after the other.
///
/// With a timeout for the whole request, which a client needs, ureq looks the host up on a new thread
/// for each request.
pub(crate) struct Loop<const CLIENT: usize> {
    url: String,
    send: Box<dyn Fn(Request<Vec<u8>>) -> Result<StatusCode>>,
}

/// The clients of [`Loop`].
pub(crate) const UREQ: usize = 0;
pub(crate) const UREQ_WITHOUT_TIMEOUT: usize = 1;
pub(crate) const HYPER: usize = 2;

impl<const CLIENT: usize> Exporter for Loop<CLIENT> {
    const NAME: &'static str =
        ["baseline: ureq", "baseline: ureq, no timeout", "baseline: hyper"][CLIENT];

    type Event = TaskCompletionEvent;

    fn event(event: TaskCompletionEvent) -> Result<Self::Event> {
        Ok(event)
    }

    fn start(plan: &Plan) -> Result<Self> {
        let url = format!("http://127.0.0.1:{}/v1/events/batch", plan.port);
        if CLIENT == HYPER {
            return Ok(Self { url, send: hyper(plan) });
        }
        // The SDK's default.
        let timeout = (CLIENT != UREQ_WITHOUT_TIMEOUT).then_some(Duration::from_secs(10));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(timeout)
            .build();
        let agent = config.new_agent();
        let send = move |request| {
            let mut response = agent.run(request)?;
            response.body_mut().read_to_vec()?;
            Ok(response.status())
        };
        Ok(Self { url, send: Box::new(send) })
    }

    fn export(&mut self, events: Vec<Self::Event>) -> Result<()> {
        for batch in events.chunks(BATCH) {
            // The same request as the SDK's.
            let request = Request::post(&self.url)
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::ACCEPT, "application/json")
                .header(header::USER_AGENT, "mosaicstack-telemetry-rust/0.1.0")
                .header(header::AUTHORIZATION, format!("Bearer {}", "a".repeat(64)));
            let status = (self.send)(request.body(to_json(batch)?)?)?;
            if !status.is_success() {
                return Err(format!("the sink responded with {status}").into());
            }
        }
        Ok(())
    }
}

/// hyper with the connection pool of hyper-util, on the calling thread, without a timeout.
fn hyper(plan: &Plan) -> Box<dyn Fn(Request<Vec<u8>>) -> Result<StatusCode>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let runtime = Arc::clone(&plan.runtime);
    Box::new(move |request| {
        runtime.block_on(async {
            let response = client.request(request.map(Full::from)).await?;
            let status = response.status();
            response.into_body().collect().await?.to_bytes();
            Ok(status)
        })
    })
}

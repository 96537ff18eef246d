//! Lower bounds: a queue, an empty call, and loops that encode and send batches.

use std::{
    collections::VecDeque,
    hint::black_box,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, StatusCode, Uri, header, uri::Authority};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use mosaicstack_telemetry::{EventBuilder, TaskCompletionEvent};
use tokio::runtime::Runtime;
use ureq::{
    Agent,
    config::Config,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use super::{BATCH, Contender, Exporter, Gate, Plan, Producer};
use crate::{
    Failure,
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

    fn start(capacity: usize, _: &Gate) -> Result<Self, String> {
        Ok(Self { events: Arc::new(Mutex::new(VecDeque::with_capacity(capacity))), capacity })
    }

    fn producer(&self) -> Self {
        self.clone()
    }

    fn finish(self, _: &Gate) -> Result<Option<u64>, String> {
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

    fn start(_: usize, _: &Gate) -> Result<Self, String> {
        Ok(Self)
    }

    fn producer(&self) {}

    fn finish(self, _: &Gate) -> Result<Option<u64>, String> {
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

/// The timeout of a request, the default of the SDK.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// ureq, with or without the timeout for the whole request that a client needs.
///
/// With a timeout, ureq looks the host up on a new thread for each request, unless its resolver parses
/// the address.
pub(crate) struct Ureq<const TIMEOUT: bool, const LOOK_UP: bool> {
    agent: Agent,
    server: Server,
}

/// Parses addresses.
#[derive(Debug)]
struct Addresses;

impl Resolver for Addresses {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let authority = uri.authority().map(Authority::as_str);
        let address = authority.and_then(|it| it.parse().ok()).ok_or(ureq::Error::HostNotFound)?;
        let mut addresses = self.empty();
        addresses.push(address);
        Ok(addresses)
    }
}

impl<const TIMEOUT: bool, const LOOK_UP: bool> Exporter for Ureq<TIMEOUT, LOOK_UP> {
    const NAME: &'static str = match (TIMEOUT, LOOK_UP) {
        (true, true) => "baseline: ureq",
        (true, false) => "baseline: ureq, no look-up",
        (false, _) => "baseline: ureq, no timeout",
    };

    type Event = TaskCompletionEvent;

    fn event(event: TaskCompletionEvent) -> Result<Self::Event, Failure> {
        Ok(event)
    }

    fn start(plan: &Plan) -> Result<Self, Failure> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(TIMEOUT.then_some(REQUEST_TIMEOUT));
        let agent = if LOOK_UP {
            config.build().new_agent()
        } else {
            Agent::with_parts(config.build(), DefaultConnector::new(), Addresses)
        };
        Ok(Self { agent, server: Server::at(plan.port) })
    }

    fn export(&mut self, events: Vec<Self::Event>) -> Result<(), Failure> {
        for batch in events.chunks(BATCH) {
            let mut response = self.agent.run(self.server.request(batch)?)?;
            response.body_mut().read_to_vec()?;
            check(response.status())?;
        }
        Ok(())
    }
}

/// hyper with the connection pool of hyper-util, on the calling thread, without a timeout.
pub(crate) struct Hyper {
    client: Client<HttpConnector, Full<Bytes>>,
    server: Server,
    runtime: Arc<Runtime>,
}

impl Exporter for Hyper {
    const NAME: &'static str = "baseline: hyper";

    type Event = TaskCompletionEvent;

    fn event(event: TaskCompletionEvent) -> Result<Self::Event, Failure> {
        Ok(event)
    }

    fn start(plan: &Plan) -> Result<Self, Failure> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            server: Server::at(plan.port),
            runtime: Arc::clone(&plan.runtime),
        })
    }

    fn export(&mut self, events: Vec<Self::Event>) -> Result<(), Failure> {
        self.runtime.block_on(async {
            for batch in events.chunks(BATCH) {
                let request = self.server.request(batch)?.map(Full::from);
                let response = self.client.request(request).await?;
                let status = response.status();
                response.into_body().collect().await?.to_bytes();
                check(status)?;
            }
            Ok(())
        })
    }
}

struct Server {
    uri: String,
    authorization: String,
}

impl Server {
    fn at(port: u16) -> Self {
        let uri = format!("http://127.0.0.1:{port}/v1/events/batch");
        Self { uri, authorization: format!("Bearer {}", "a".repeat(64)) }
    }

    /// The same request as the SDK's.
    fn request(&self, events: &[TaskCompletionEvent]) -> Result<Request<Vec<u8>>, Failure> {
        let request = Request::post(&self.uri)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "mosaicstack-telemetry-rust/0.1.0")
            .header(header::AUTHORIZATION, &self.authorization);
        Ok(request.body(to_json(events)?)?)
    }
}

fn check(status: StatusCode) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    Err(format!("the sink responded with {status}").into())
}

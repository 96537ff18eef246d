//! What no client can do without: encoding a batch and sending it, one after the other.

use std::sync::Arc;

use http::{Request, StatusCode, Uri, header, uri::Authority};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use mosaicstack_telemetry::TaskCompletionEvent;
use tokio::runtime::Runtime;
use ureq::{
    Agent,
    config::Config,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use super::{BATCH, Carrier, Plan, REQUEST_TIMEOUT};
use crate::{Failure, events::encoded};

/// ureq, with a time-out for the whole request, as a client needs one, or without any.
///
/// With one, ureq looks the host up on a thread of its own for each request, unless it has a resolver
/// that reads the address.
pub(super) struct UreqFloor<const TIME_OUT: bool, const LOOK_UP: bool> {
    agent: Agent,
    server: Server,
}

/// Reads addresses.
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

impl<const TIME_OUT: bool, const LOOK_UP: bool> Carrier for UreqFloor<TIME_OUT, LOOK_UP> {
    type Event = TaskCompletionEvent;
    type Home = ();

    fn event(event: &TaskCompletionEvent) -> Result<Self::Event, Failure> {
        Ok(event.clone())
    }

    fn start((): &(), plan: &Plan) -> Result<Self, Failure> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(TIME_OUT.then_some(REQUEST_TIMEOUT));
        let agent = if LOOK_UP {
            config.build().new_agent()
        } else {
            Agent::with_parts(config.build(), DefaultConnector::new(), Addresses)
        };
        Ok(Self { agent, server: Server::at(plan.port) })
    }

    fn hand_over(&mut self, events: Vec<Self::Event>) -> Result<(), Failure> {
        for batch in events.chunks(BATCH) {
            let mut answer = self.agent.run(self.server.request(batch)?)?;
            answer.body_mut().read_to_vec()?;
            check(answer.status())?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn stop(self) -> Result<(), Failure> {
        Ok(())
    }
}

/// hyper with the pool of hyper-util, on the caller's runtime, without any time-out.
pub(super) struct HyperFloor {
    client: Client<HttpConnector, Full<Bytes>>,
    server: Server,
    runtime: Arc<Runtime>,
}

impl Carrier for HyperFloor {
    type Event = TaskCompletionEvent;
    type Home = Arc<Runtime>;

    fn event(event: &TaskCompletionEvent) -> Result<Self::Event, Failure> {
        Ok(event.clone())
    }

    fn start(runtime: &Arc<Runtime>, plan: &Plan) -> Result<Self, Failure> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            server: Server::at(plan.port),
            runtime: Arc::clone(runtime),
        })
    }

    fn hand_over(&mut self, events: Vec<Self::Event>) -> Result<(), Failure> {
        self.runtime.block_on(async {
            for batch in events.chunks(BATCH) {
                let request = self.server.request(batch)?.map(Full::from);
                let answer = self.client.request(request).await?;
                let status = answer.status();
                answer.into_body().collect().await?.to_bytes();
                check(status)?;
            }
            Ok(())
        })
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn stop(self) -> Result<(), Failure> {
        Ok(())
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

    /// The request that the SDK makes.
    fn request(&self, events: &[TaskCompletionEvent]) -> Result<Request<Vec<u8>>, Failure> {
        let request = Request::post(&self.uri)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "mosaicstack-telemetry-rust/0.1.0")
            .header(header::AUTHORIZATION, &self.authorization);
        Ok(request.body(encoded(events)?)?)
    }
}

fn check(status: StatusCode) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    Err(format!("the sink has answered {status}").into())
}

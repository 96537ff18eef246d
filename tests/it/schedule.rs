//! Rules of the submitter, in virtual time.

mod interval;
mod outcomes;
mod queue;
mod refusals;
mod retries;
mod shutdown;

use std::{ops::Range, time::Duration};

use mosaicstack_telemetry::{
    EventBuilder, Health,
    sans_io::DeliveryOutcome,
    transport::{Response, TransportError},
};
use telemetry_tests::{Log, Next, Sent, Simulation, config, status, track};
use uuid::Uuid;

const INTERVAL: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);

type Reply = Result<Response, TransportError>;

fn simulation() -> Simulation {
    Simulation::new(&config("https://example.com").build().expect("a valid configuration"))
}

fn small_queue() -> Simulation {
    let config = config("https://example.com").max_queue_size(10).build();
    Simulation::new(&config.expect("a valid configuration"))
}

fn no_retries() -> Simulation {
    let config = config("https://example.com").max_retries(0).build();
    Simulation::new(&config.expect("a valid configuration"))
}

fn accept(_: &Sent) -> Reply {
    Ok(status(200))
}

fn with_retry_after(code: u16, value: &'static str) -> Response {
    let mut response = status(code);
    response.headers_mut().insert("retry-after", http::HeaderValue::from_static(value));
    response
}

fn times(simulation: &Simulation) -> Vec<Duration> {
    simulation.sent.iter().map(|sent| sent.at).collect()
}

fn sizes(simulation: &Simulation) -> Vec<usize> {
    simulation.sent.iter().map(|sent| sent.ids.len()).collect()
}

fn ids(simulation: &Simulation) -> Vec<Uuid> {
    simulation.sent.iter().flat_map(|sent| sent.ids.clone()).collect()
}
